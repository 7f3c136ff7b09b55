"""The documents of a corpus on disk during its build: read once from their sources, then read in the order of splits.

    spool.text       the text of all documents, one after another
    spool.index      one record for each document: the end of its text, and a hash of it
    spool.mark.json  the progress of reading when both files last reached the disk

An interrupted reading continues from the mark: text after it is cut off, and the documents that it counts are skipped
in each source. Memory holds one line at a time; the index is memory-mapped, 16 bytes for each document.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pld_search.data.build_progress import BuildProgress, cut_off
from pld_search.errors import DataError

TEXT, INDEX = "spool.text", "spool.index"
_RECORD = np.dtype([("end", "<u8"), ("hash", "<u8")])
_KEY = b"pld_search: which split a document belongs to"
_BLOCK = 1 << 16
_MARK_EVERY = 1 << 28  # bytes of text
Pieces = Iterable[str]


class Spool:
    """The text of all documents in `folder`, without empty documents. The files are removed when the context ends
    without an error.
    """

    def __init__(self, folder: Path) -> None:
        self._paths = folder / TEXT, folder / INDEX
        self._mark = BuildProgress(folder / "spool.mark.json")
        state: dict[str, Any] = self._mark.read() or {"documents": 0, "bytes": 0, "sources": {}}
        self._count, self._end = int(state["documents"]), int(state["bytes"])
        self._sources: dict[str, dict[str, Any]] = dict(state["sources"])
        self._marked = self._end
        self._text, self._index = (
            cut_off(path, size)
            for path, size in zip(self._paths, (self._end, self._count * _RECORD.itemsize), strict=True)
        )

    def __len__(self) -> int:
        return self._count

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()
        self._index.close()
        if kind is None:
            self._mark.remove()
            for path in self._paths:
                path.unlink()

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """A 64-bit keyed hash of every document's content."""
        return self._records["hash"]

    @cached_property
    def _records(self) -> NDArray[Any]:
        """The index, memory-mapped; available after everything was read."""
        self._index.flush()
        return np.memmap(self._paths[1], dtype=_RECORD, mode="r") if self._count else np.empty(0, dtype=_RECORD)

    def read(self, source: str, documents: Callable[[int], Iterable[Pieces]]) -> int:
        """Appends `documents(skip)`, the documents of a source after its first `skip`. Returns how many documents of
        the source had text, earlier ones included.
        """
        state = self._sources.setdefault(source, {"read": 0, "kept": 0, "whole": False})
        if not state["whole"]:
            for pieces in documents(state["read"]):
                state["kept"] += self._add(pieces)
                state["read"] += 1
                if self._end - self._marked >= _MARK_EVERY:
                    self._save()
            state["whole"] = True
            self._save()
        return int(state["kept"])

    def _add(self, pieces: Pieces) -> bool:
        start, hashed, filled = self._end, content_hash(), False
        for piece in pieces:
            data = _encoded(piece, self._count)
            hashed.update(data)
            filled = filled or bool(piece.strip())
            self._end += self._text.write(data)
        if not filled:
            self._text.seek(start)
            self._text.truncate()
            self._end = start
            return False
        self._index.write(np.array((self._end, as_number(hashed)), dtype=_RECORD).tobytes())
        self._count += 1
        return True

    def _save(self) -> None:
        self.__dict__.pop("_records", None)
        for file in (self._text, self._index):
            file.flush()
            os.fsync(file.fileno())
        self._mark.write({"documents": self._count, "bytes": self._end, "sources": self._sources})
        self._marked = self._end

    def bytes_of(self, documents: NDArray[np.int64]) -> int:
        """Returns the total bytes of these documents."""
        return int(self.sizes(documents).sum())

    def sizes(self, documents: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Returns the bytes of each of these documents."""
        ends: NDArray[np.uint64] = self._records["end"]
        starts = np.where(documents > 0, ends[np.maximum(documents, 1) - 1], np.uint64(0))
        return ends[documents] - starts

    def text(self, document: int) -> Iterator[str]:
        """Yields a document in blocks of whole lines, about 64 KB each."""
        position, end = self._place(document)
        while position < end:
            self._text.seek(position)
            block = self._text.read(min(_BLOCK, end - position))
            if position + len(block) < end and not block.endswith(b"\n"):
                block += self._text.readline(end - position - len(block))
            position += len(block)
            yield block.decode()

    def _place(self, document: int) -> tuple[int, int]:
        ends = self._records["end"]
        return (int(ends[document - 1]) if document else 0), int(ends[document])


def content_hash(pieces: Pieces = ()) -> hashlib.blake2b:
    """Returns the keyed hash, over these pieces of a document, that decides the document's split."""
    hashed = hashlib.blake2b(digest_size=8, key=_KEY)
    for piece in pieces:
        hashed.update(piece.encode())
    return hashed


def as_number(hashed: hashlib.blake2b) -> int:
    """Returns a digest as one whole number, its first byte the lowest."""
    return int.from_bytes(hashed.digest(), "little")


def _encoded(piece: str, before: int) -> bytes:
    try:
        return piece.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"document {before + 1} holds half of a surrogate pair, which is not text: {error}") from error
