"""How far an interrupted build had come: a small file beside the files it appends to, written after those reached the
disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from pld_search.host.disk import write_atomically


class BuildProgress:
    """One such file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any] | None:
        """What was written last; None where nothing was."""
        if not self._path.is_file():
            return None
        content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return content

    def write(self, content: dict[str, Any]) -> None:
        """Replace the file as a whole, so that a reader never meets half of it."""
        write_atomically(self._path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Delete the file; a missing one is no error."""
        self._path.unlink(missing_ok=True)


def cut_off(path: Path, size: int) -> IO[bytes]:
    """The file, made where there is none, opened to read and to append after its first `size` bytes."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file
