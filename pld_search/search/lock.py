"""One coordinator a study: a lock that the system frees when its holder dies, and a note that says who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pld_search.disk import held


@contextmanager
def only_coordinator(study: Path) -> Iterator[None]:
    """Hold a study for as long as the context lasts. Raises StudyError naming the process and host that hold it already."""
    study.mkdir(parents=True, exist_ok=True)
    holder = study / "coordinator.json"
    with held(study / "coordinator.lock", taken=lambda: f"{study} is being run by {_describe(holder)}; one coordinator a study"):
        try:
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            yield
        finally:
            holder.unlink(missing_ok=True)


def _describe(holder: Path) -> str:
    try:
        note = json.loads(holder.read_text())
        return f"process {note['pid']} on {note['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"
