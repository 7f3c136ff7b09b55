"""One coordinator a study: a lock that the operating system frees when the holder dies, and a note with the holder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pld_search.host.disk import held
from pld_search.host.processes import alive, host, start_time


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that runs a study and its start (local time, to the second)."""

    pid: int
    process_started: float
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def lives(self) -> bool:
        """Whether the process still runs; a process of another machine is assumed to run."""
        return self.host != host() or alive(self.pid, self.process_started)


@contextmanager
def only_coordinator(study: Path) -> Iterator[None]:
    """Holds a study while the context lasts. Raises StudyError with the process and host when another coordinator holds
    the study.
    """
    study.mkdir(parents=True, exist_ok=True)
    note = _note(study)
    with held(
        study / "coordinator.lock",
        taken=lambda: f"{study} is being run by {holder_of(study) or 'another process'}; one coordinator a study",
    ):
        try:
            pid = os.getpid()
            holder = Holder(pid, start_time(pid) or 0.0, host(), datetime.now().strftime("%Y-%m-%d %H:%M:%S"))
            note.write_text(json.dumps(asdict(holder)))
            yield
        finally:
            note.unlink(missing_ok=True)


def holder_of(study: Path) -> Holder | None:
    """Returns the coordinator that runs a study now, or None."""
    try:
        holder = Holder(**json.loads(_note(study).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return holder if holder.lives else None


def _note(study: Path) -> Path:
    return study / "coordinator.json"
