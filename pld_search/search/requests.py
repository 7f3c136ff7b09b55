"""What other processes ask of a study's coordinator: files in `<study>/requests/`, since the records have one writer.

Fit for a shared file system: whoever sees the folder can ask, on whichever machine the coordinator runs. A request to
retry waits for the next coordinator where there is none; one to stop means the coordinator that runs, and is dropped by
the next.
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
    """`stop` (now: kill instead of checkpoint) or `retry` (trial: its number, None for all that failed)."""

    kind: Kind
    fields: dict[str, Any]


def request(study: Path, kind: Kind, **fields: Any) -> Path:
    """Leave a request; the file, which is gone once the coordinator has seen to it."""
    path = study / FOLDER / f"{time.time_ns()}-{os.getpid()}.json"
    write_atomically(path, json.dumps({"kind": kind, **fields}))
    return path


class Inbox:
    """The coordinator's side."""

    def __init__(self, study: Path) -> None:
        self._folder = study / FOLDER

    def take(self) -> Iterator[Request]:
        """Every request, oldest first; each is removed after the caller has seen to it, so that a death in between
        loses none.
        """
        for path in self._files():
            found = _read(path)
            if found is not None:
                yield found
                path.unlink(missing_ok=True)

    def drop_stops(self) -> None:
        """Forget requests to stop that meant an earlier coordinator."""
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
    """The request in a file; None for anything that is no request of ours."""
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return (
        Request(fields.pop("kind"), fields)
        if isinstance(fields, dict) and fields.get("kind") in get_args(Kind)
        else None
    )
