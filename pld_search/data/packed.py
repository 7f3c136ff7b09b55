"""Packed files as streams of their content, by suffix: gz, bz2, xz and zst. A file that ends in the middle is an error,
never its beginning.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from pathlib import Path
from typing import IO, Any

import zstandard

from pld_search.errors import DataError

PACKED = (".gz", ".bz2", ".xz", ".zst")
UNREADABLE = (UnicodeError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zstandard.ZstdError, OSError)
"""What reading a packed file, or text that is none, may raise."""
_NOT_READ = (".zip", ".tar", ".tgz", ".7z", ".rar", ".lz4", ".br", ".z", ".parquet", ".arrow")
_BLOCK = 1 << 14


def is_packed(path: Path) -> bool:
    """Whether a file is packed, by its suffix in either case."""
    return path.suffix.lower() in PACKED


def kind(path: Path) -> str:
    """The suffix of what a file holds once it is unpacked, in lower case: `.jsonl` of `a.JSONL.gz`."""
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def refuse_unread(path: Path) -> None:
    """Raises DataError, with the suffixes that are read, for a file that its suffix says is packed in another way."""
    if kind(path) in _NOT_READ:
        raise DataError(
            f"{path}: files that end in {kind(path)} are not read; unpack it, or pack its text as one of "
            f"{', '.join(PACKED)}"
        )


def unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """The content of a file that is open as `raw`, as a binary stream. Reading raises one of UNREADABLE where it is
    damaged or cut short.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]  # it reads as any other stream
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    return io.BufferedReader(_Frames(raw)) if suffix == ".zst" else raw


class _Frames(io.RawIOBase):
    """Every frame of a zst file in turn. zstandard's own reader takes a file that ends within a frame for a whole one,
    and reads one frame only.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._content, self._rest = raw, memoryview(b""), b""
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._content:
            packed = self._rest or self._raw.read(_BLOCK)
            if not packed:
                if self._frame is not None:
                    raise EOFError("the file ends in the middle of a frame: it was cut short")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._content, self._rest = memoryview(self._frame.decompress(packed)), b""
            if self._frame.eof:
                self._rest, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count
