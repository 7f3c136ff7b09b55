"""The growing token file of a corpus and its two offset files; writing continues from the mark of an interrupted
process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pld_search.data.build_progress import BuildProgress, cut_off
from pld_search.data.packed_corpus import DOCUMENTS, OFFSETS, SENTENCES, TOKENS
from pld_search.data.spool import Spool
from pld_search.data.tokenize_text import TextEncoder, sentences
from pld_search.data.wordpiece import WordPiece

_BLOCK_CHARACTERS = 1 << 20
_LONGEST_BLOCK = 4  # blocks; a longer document is encoded in parts
_MARK_EVERY = 1 << 26  # tokens
_KINDS = ("tokens", "documents", "sentences", "bytes")
Block = list[str | None]


class TokenFiles:
    """Appends splits in turn; `counts` counts the tokens of the splits written with `counted`."""

    def __init__(self, folder: Path, tokenizer: WordPiece) -> None:
        self._tokenizer, self._encoder = tokenizer, TextEncoder(tokenizer)
        self.dtype = np.dtype("<u2" if len(tokenizer.vocabulary) <= 1 << 16 else "<u4")
        self._mark = BuildProgress(folder / "tokens.mark.json")
        state = self._mark.read() or {
            "written": dict.fromkeys(_KINDS, 0),
            "splits": {},
            "begun": None,
            "counts": [0] * len(tokenizer.vocabulary),
        }
        self._written: dict[str, int] = dict(state["written"])
        self.splits: dict[str, dict[str, list[int]]] = dict(state["splits"])
        self._begun: dict[str, Any] | None = state["begun"]
        self.counts: NDArray[np.int64] = np.array(state["counts"], dtype=np.int64)
        self._marked = self._written["tokens"]
        self._open = {name: cut_off(folder / name, size) for name, size in self._sizes().items()}
        if not self._written["documents"]:
            self._open[DOCUMENTS].seek(0)
            self._open[DOCUMENTS].write(bytes(OFFSETS.itemsize))

    def _sizes(self) -> dict[str, int]:
        """Returns the bytes of each file up to the mark; documents.bin has one entry more than documents."""
        return {
            TOKENS: self._written["tokens"] * self.dtype.itemsize,
            DOCUMENTS: (self._written["documents"] + 1) * OFFSETS.itemsize,
            SENTENCES: self._written["sentences"] * OFFSETS.itemsize,
        }

    def __enter__(self) -> TokenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def done(self) -> None:
        """Removes the mark, because nothing is left to continue."""
        self._mark.remove()

    def split(self, name: str, spool: Spool, documents: NDArray[np.int64], *, counted: bool) -> None:
        """Appends the documents of a split, each with [SEP] at its end; skips a split that an earlier process
        finished.
        """
        if name in self.splits:
            return
        if self._begun is None:
            self._begun = {"before": dict(self._written), "documents": 0}
        begun = self._begun
        for block in _blocks(_units(spool, documents[begun["documents"] :])):
            begun["documents"] += self._block(block, counted=counted)
            if block[-1] is None and self._written["tokens"] - self._marked >= _MARK_EVERY:
                self._save()
        self._written["bytes"] += spool.bytes_of(documents)
        self.splits[name] = {what: [begun["before"][what], self._written[what]] for what in _KINDS}
        self._begun = None
        self._save()

    def _save(self) -> None:
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        self._mark.write(
            {"written": self._written, "splits": self.splits, "begun": self._begun, "counts": self.counts.tolist()}
        )
        self._marked = self._written["tokens"]

    def _block(self, block: Block, *, counted: bool) -> int:
        """Encodes sentences and appends them; a None ends a document with [SEP]. Returns how many documents ended."""
        ids, lengths = self._encoder.encode(unit for unit in block if unit is not None)
        if counted:
            self.counts += np.bincount(ids, minlength=len(self.counts))
        ended = np.array([unit is None for unit in block])
        sizes = np.ones(len(block), dtype=np.int64)
        sizes[~ended] = lengths
        ends = np.cumsum(sizes)
        tokens = np.insert(ids, (ends - np.cumsum(ended))[ended], self._tokenizer.specials.sep)
        starts = (ends - sizes)[~ended & (sizes > 0)]
        self._append(TOKENS, tokens.astype(self.dtype))
        self._append(SENTENCES, (starts + self._written["tokens"]).astype(OFFSETS))
        self._append(DOCUMENTS, (ends[ended] + self._written["tokens"]).astype(OFFSETS))
        self._written["tokens"] += len(tokens)
        self._written["sentences"] += len(starts)
        self._written["documents"] += int(ended.sum())
        return int(ended.sum())

    def _append(self, name: str, values: NDArray[Any]) -> None:
        self._open[name].write(values.tobytes())


def _units(spool: Spool, documents: Iterable[int]) -> Iterator[str | None]:
    for document in documents:
        for text in spool.text(int(document)):
            yield from sentences(text)
        yield None


def _blocks(units: Iterable[str | None]) -> Iterator[Block]:
    """Yields blocks of whole documents, so that a mark is possible after each; only a document longer than a few blocks
    is cut.
    """
    block: Block = []
    characters = 0
    for unit in units:
        block.append(unit)
        characters += 1 if unit is None else len(unit)
        if characters >= (_BLOCK_CHARACTERS if unit is None else _LONGEST_BLOCK * _BLOCK_CHARACTERS):
            yield block
            block, characters = [], 0
    if block:
        yield block
