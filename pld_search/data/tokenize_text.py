"""Converts text to token ids, fast and in bounded memory.

BERT's pre-tokenizer always separates words at blanks, so the ids of a text are the ids of its blank-separated chunks
one after another. `tokenizers` encodes each different chunk once; later the chunk is looked up. On English text this is
five times faster than encoding every sentence, with the same ids.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pld_search.data.wordpiece import WordPiece

_SENTENCE_END = re.compile(r"(?<=[.!?])(?:[\"'”’)\]]*)\s+(?=[\"'“‘(\[]?[A-Z0-9])|\n+")
_MOST_CHUNKS = 1_000_000
Ids = NDArray[np.int64]


def sentences(text: str) -> Iterator[str]:
    """Yields the sentences of a text by a simple rule, for offsets only: it splits at line ends, and at blanks after .
    ! or ? before a capital, a digit or an opening quote ("Mr. Smith" is also split).
    """
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    yield text[start:]


class TextEncoder:
    """Encodes many texts with one tokenizer and remembers about a million different chunks."""

    def __init__(self, tokenizer: WordPiece) -> None:
        self._tokenizer = tokenizer.encoder
        self._forget()

    def _forget(self) -> None:
        self._chunks: dict[str, int] = {}
        self._ids = array("q")
        self._starts = array("q", [0])

    def encode(self, texts: Iterable[str]) -> tuple[Ids, Ids]:
        """Returns (ids of all texts one after another, number of ids of each text), without special tokens."""
        if len(self._chunks) > _MOST_CHUNKS:
            self._forget()
        parts = [text.replace("\n", " ").split(" ") for text in texts]
        self._learn(parts)
        known = self._chunks
        chunk_of = np.fromiter((known[chunk] for part in parts for chunk in part), dtype=np.int64)
        starts = np.array(self._starts, dtype=np.int64)
        lengths = (starts[1:] - starts[:-1])[chunk_of]
        first = np.cumsum(lengths) - lengths
        places = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(starts[:-1][chunk_of] - first, lengths)
        ends = np.cumsum(np.fromiter((len(part) for part in parts), dtype=np.int64, count=len(parts)))
        through = np.concatenate([[0], np.cumsum(lengths)])[np.concatenate([[0], ends])]
        return np.array(self._ids, dtype=np.int64)[places], np.diff(through)

    def _learn(self, parts: Sequence[Sequence[str]]) -> None:
        new = list(dict.fromkeys(chunk for part in parts for chunk in part if chunk not in self._chunks))
        for chunk, encoding in zip(new, self._tokenizer.encode_batch_fast(new, add_special_tokens=False), strict=True):
            self._chunks[chunk] = len(self._chunks)
            self._ids.extend(encoding.ids)
            self._starts.append(len(self._ids))
