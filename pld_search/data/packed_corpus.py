"""A prepared corpus on disk, and its splits as packed sequences.

tokens.bin       uint16 or uint32, little-endian: the train, validation and test streams; [SEP] ends every document
documents.bin    uint64: the start of each document in tokens.bin, and the end as one last entry
sentences.bin    uint64: the start of each sentence in tokens.bin
tokenizer.json, vocab.txt
manifest.json    digests, sizes, splits, specials, statistics; written last
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.data import content_cache, wordpiece
from pld_search.data.wordpiece import Specials, WordPiece
from pld_search.errors import DataError

FORMAT = 1
TOKENS, DOCUMENTS, SENTENCES = "tokens.bin", "documents.bin", "sentences.bin"
OFFSETS = np.dtype("<u8")


@dataclass(frozen=True)
class PackedSplit:
    """A split as sequences of one length: row i is [CLS] and tokens i (length - 1) .. (i + 1)(length - 1) of the
    stream.

    Tokens at the end of the stream that do not fill a sequence are not read.
    """

    stream: NDArray[np.unsignedinteger[Any]]
    cls: int
    length: int

    def __len__(self) -> int:
        return len(self.stream) // (self.length - 1)

    def rows(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Returns the sequences of `indices` (N,) as int64 (N, length)."""
        asked = np.asarray(indices, dtype=np.int64)
        body = self.length - 1
        packed = self.stream[: len(self) * body].reshape(len(self), body)
        rows = np.empty((len(asked), self.length), dtype=np.int64)
        rows[:, 0] = self.cls
        rows[:, 1:] = packed[asked]
        return rows


class Corpus:
    """An opened corpus folder; it reads nothing before it is needed. Raises DataError if the folder is not complete."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = content_cache.read_manifest(self.folder)
        if self.manifest.get("format") != FORMAT:
            raise DataError(
                f"{self.folder}: a corpus of format {self.manifest.get('format')}; this version reads format {FORMAT}"
            )
        if not content_cache.is_whole(self.folder):
            raise DataError(
                f"{self.folder}: a file is missing or cut short; remove the folder and run `pld-search prepare` again"
            )

    @property
    def digest(self) -> str:
        """The digest of the content: sequences, splits and tokenizer."""
        return str(self.manifest["digest"])

    @property
    def tokenizer_digest(self) -> str:
        """The digest of the tokenizer whose token ids the corpus holds."""
        return str(self.manifest["tokenizer"])

    @property
    def vocabulary(self) -> int:
        """The number of token ids, special tokens included."""
        return int(self.manifest["vocabulary"])

    @property
    def specials(self) -> Specials:
        """The ids of the special tokens, [PAD] and [MASK] among them."""
        return Specials(**self.manifest["specials"])

    @property
    def statistics(self) -> Mapping[str, Any]:
        """documents, sentences, tokens and bytes by split; unigram_entropy (nats) of the train split; vocabulary."""
        return dict(self.manifest["statistics"])

    @cached_property
    def tokenizer(self) -> WordPiece:
        """The tokenizer, loaded once from the corpus folder."""
        return wordpiece.load(self.folder)

    @cached_property
    def _tokens(self) -> NDArray[np.unsignedinteger[Any]]:
        return np.memmap(self.folder / TOKENS, dtype=self.manifest["dtype"], mode="r")

    def split(self, name: str, length: int) -> PackedSplit:
        """Returns train, validation or test as packed sequences of `length`. Raises DataError if none can be filled."""
        start, end = self.manifest["splits"][name]["tokens"]
        packed = PackedSplit(self._tokens[start:end], self.specials.cls, length)
        if not len(packed):
            raise DataError(f"the {name} split has {end - start} tokens: too few for one sequence of {length}")
        return packed

    def document_starts(self, name: str) -> NDArray[np.uint64]:
        """Returns the starts of a split's documents in tokens.bin, uint64 (documents + 1,); the last entry is the
        split's end.
        """
        start, end = self.manifest["splits"][name]["documents"]
        return np.fromfile(self.folder / DOCUMENTS, dtype=OFFSETS)[start : end + 1]

    def sentence_starts(self, name: str) -> NDArray[np.uint64]:
        """Returns the starts of a split's sentences in tokens.bin, uint64 (sentences,)."""
        start, end = self.manifest["splits"][name]["sentences"]
        return np.fromfile(self.folder / SENTENCES, dtype=OFFSETS)[start:end]
