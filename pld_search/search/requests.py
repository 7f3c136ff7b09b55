"""Requests of other processes to a study's coordinator: files in `<study>/requests/`, because the records have a single
writer.

Requests work on a shared file system: every process that sees the folder can send one, on any machine. Without a
coordinator, a request to retry waits for the next coordinator. A request to stop is meant for the coordinator that runs
now; the next coordinator drops it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pld_search.host.disk import write_atomically

FOLDER = "requests"
Kind = Literal["stop", "retry"]


@dataclass(frozen=True, slots=True)
class Request:
    """`stop` (now: kill instead of checkpoint) or `retry` (trial: its number, None for all failed trials)."""

    kind: Kind
    fields: dict[str, Any]


def request(study: Path, kind: Kind, **fields: Any) -> Path:
    """Writes a request and returns its file; the coordinator removes the file once it has handled the request."""
    path = study / FOLDER / f"{time.time_ns()}-{os.getpid()}.json"
    write_atomically(path, json.dumps({"kind": kind, **fields}))
    return path


class Inbox:
    """The coordinator's side of the requests."""

    def __init__(self, study: Path) -> None:
        self._folder = study / FOLDER

    def take(self) -> Iterator[Request]:
        """Yields every request, oldest first. A request is removed after the caller has handled it, so a coordinator
        that dies in between loses none.
        """
        for path in self._files():
            found = _read(path)
            if found is not None:
                yield found
                path.unlink(missing_ok=True)

    def drop_stops(self) -> None:
        """Removes requests to stop that were meant for an earlier coordinator."""
        for path in self._files():
            found = _read(path)
            if found is not None and found.kind == "stop":
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        try:
            return sorted(
                path for path in self._folder.iterdir() if path.suffix == ".json" and not path.name.startswith(".")
            )
        except FileNotFoundError:
            return []


def _read(path: Path) -> Request | None:
    """Returns the request in a file; None for a file that holds no valid request."""
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return (
        Request(fields.pop("kind"), fields)
        if isinstance(fields, dict) and fields.get("kind") in get_args(Kind)
        else None
    )
