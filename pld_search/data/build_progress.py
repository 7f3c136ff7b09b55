"""The progress of an interrupted build: a small file beside the data files, written after the data reached the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from pld_search.host.disk import write_atomically


class BuildProgress:
    """One progress file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any] | None:
        """Returns the last content; None if nothing was written."""
        if not self._path.is_file():
            return None
        content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return content

    def write(self, content: dict[str, Any]) -> None:
        """Replaces the file atomically, so that no reader sees a part of it."""
        write_atomically(self._path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Deletes the file, if it exists."""
        self._path.unlink(missing_ok=True)


def cut_off(path: Path, size: int) -> IO[bytes]:
    """Opens a file, creating it if necessary, for reading and for appending after its first `size` bytes."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file
