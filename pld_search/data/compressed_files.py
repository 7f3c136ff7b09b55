"""Compressed files as streams of their content, by suffix: gz, bz2, xz and zst. A truncated file is an error, and is
never read as a shorter text.
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
"""Errors that reading a compressed file, or a file that is not text, may raise."""
_NOT_READ = (".zip", ".tar", ".tgz", ".7z", ".rar", ".lz4", ".br", ".z", ".parquet", ".arrow")
_BLOCK = 1 << 14


def is_packed(path: Path) -> bool:
    """Whether a file is compressed, by its suffix in either case."""
    return path.suffix.lower() in PACKED


def kind(path: Path) -> str:
    """Returns the suffix of a file's uncompressed content, in lower case: `.jsonl` for `a.JSONL.gz`."""
    return (path.with_suffix("") if is_packed(path) else path).suffix.lower()


def refuse_unread(path: Path) -> None:
    """Raises DataError, with the supported suffixes, for a file whose suffix names another compression."""
    if kind(path) in _NOT_READ:
        raise DataError(
            f"{path}: files that end in {kind(path)} are not read; unpack it, or pack its text as one of "
            f"{', '.join(PACKED)}"
        )


def unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """Returns the content of the file that is open as `raw`, as a binary stream. Reading raises one of UNREADABLE if it
    is damaged or truncated.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]  # it reads like any other stream
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    return io.BufferedReader(_Frames(raw)) if suffix == ".zst" else raw


class _Frames(io.RawIOBase):
    """Reads every frame of a zst file in turn. zstandard's own reader reads only one frame, and accepts a file that
    ends within a frame.
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
