"""Files that survive a kill and a power cut: written whole or not at all, flushed, told apart by content, locked."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pld_search.errors import StudyError

_WINDOWS = os.name == "nt"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8; a reader, and whoever comes after a crash, sees the old file or the new one. Makes the
    folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        flush(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """A file's content, or a folder's list of names, reaches the disk before this returns.

    Windows writes lists of names by itself, and flushes only what is open for writing.
    """
    if _WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(path: Path) -> dict[str, Any]:
    """What a manifest says of a file: its size in `bytes` and its `sha256`."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def free_bytes(place: Path) -> int:
    """Bytes free where an absolute path is, or will be."""
    nearest = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(nearest).free


@contextmanager
def held(lock: Path, taken: Callable[[], str] | None = None) -> Iterator[None]:
    """Hold the lock file for as long as the context lasts; the system frees it when its holder dies.

    Where another process holds it: waits, or, with `taken`, raises StudyError with the line that `taken` gives.
    """
    from filelock import FileLock, Timeout  # brings asyncio: only who locks pays

    held_lock = FileLock(lock, timeout=-1 if taken is None else 0)
    try:
        held_lock.acquire()
    except Timeout as error:
        assert taken is not None  # who waits for ever has no timeout
        raise StudyError(taken()) from error
    try:
        yield
    finally:
        held_lock.release()
