"""Files that survive a kill and a power failure: atomic writes, flushes, digests of content and locks."""

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


def expanded(place: str | Path) -> Path:
    """Returns the path with a leading `~` or `~user` replaced by the home folder.

    As in a shell, the name of an unknown user stays as it is; `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(place))  # noqa: PTH111


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 and creates the folder. A reader, also after a crash, sees the old file or the new
    file.
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
    """Flushes a file's content, or a folder's list of names, to the disk.

    Windows writes lists of names by itself, and flushes only files that are open for writing.
    """
    if _WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(path: Path) -> dict[str, Any]:
    """Returns a file's entry in a manifest: its size in `bytes` and its `sha256`."""
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def free_bytes(place: Path) -> int:
    """Returns the free bytes of the disk of an absolute path, which need not exist yet."""
    nearest = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(nearest).free


@contextmanager
def held(lock: Path, taken: Callable[[], str] | None = None) -> Iterator[None]:
    """Holds the lock file while the context lasts; the system frees it when its holder dies.

    If another process holds it, this waits; with `taken` it raises StudyError with the text that `taken` returns.
    """
    from filelock import FileLock, Timeout  # loads asyncio, so it is imported only for a lock

    held_lock = FileLock(lock, timeout=-1 if taken is None else 0)
    try:
        held_lock.acquire()
    except Timeout as error:
        assert taken is not None  # without `taken` there is no timeout
        raise StudyError(taken()) from error
    try:
        yield
    finally:
        held_lock.release()
