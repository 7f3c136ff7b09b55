"""Append-only files with one JSON object in each line and one writer each: the only records of a run and a study.

A crash or a full disk may leave an incomplete last line. Readers ignore it; a writer truncates it before its first
append, so that the next record starts on its own line.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from pld_search.errors import StudyError

Record = dict[str, Any]
Version = tuple[int, int, int]
"""(size in bytes, time of the last change in nanoseconds, inode): equal while a file's content is the same."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Pauses the search for cycles of garbage while thousands of records are made: they are all kept, and every search
    visits all of them. Also a decorator.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def version_of(path: Path | str) -> Version | None:
    """Returns the version of an append-only file, which stands for its content; None if there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a text takes a third of a Path's time, and readers ask for every run
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def read(path: Path) -> list[Record]:
    """Reads every complete record of a file. A missing file has none, and an unterminated last line is ignored.

    Raises StudyError for a complete line that is not a record: a writer never leaves one, so the file was damaged or
    edited.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    end = data.rfind(b"\n") + 1
    lines = data[:end].split(b"\n")
    records = _together([line for line in lines if line])
    if records is None:
        records = [_record(line, path, number) for number, line in enumerate(lines, 1) if line]
    return records


def _together(lines: list[bytes]) -> list[Record] | None:
    """Parses all lines as one JSON array, in two thirds of the time; None if they have to be parsed one by one."""
    if not all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        return None
    try:
        records: list[Record] = json.loads(b"[" + b",".join(lines) + b"]")
    except ValueError:
        return None
    return records if len(records) == len(lines) else None


def _record(line: bytes, path: Path, number: int) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise StudyError(f"{path}:{number}: not a record ({error})") from error
    if not isinstance(record, dict):
        raise StudyError(f"{path}:{number}: not a record (a JSON object a line)")
    return record


def line(record: Mapping[str, Any]) -> bytes:
    """Returns a record as a line. Raises ValueError for NaN or infinity: a record holds only JSON numbers."""
    return (json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


class Writer:
    """The only writer of a record file. It writes each line by one call, and flushes it to the disk when `durable`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._close_torn_line()

    def _close_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        data = self.path.read_bytes() if size else b""
        end = data.rfind(b"\n") + 1
        if end != size:
            os.ftruncate(self._file, end)

    def write(self, record: Mapping[str, Any], *, durable: bool = False) -> None:
        """Appends one record. Raises ValueError for NaN or infinity: a record holds only JSON numbers."""
        data = line(record)
        start = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(28, "short write", str(self.path))
        except OSError:
            os.ftruncate(self._file, start)  # a full disk leaves no incomplete line
            raise
        if durable:
            os.fsync(self._file)

    def sync(self) -> None:
        """Flushes all records written so far to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
