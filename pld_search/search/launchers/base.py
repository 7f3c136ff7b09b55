"""What a launcher offers to the coordinator. Slurm and Ray fit behind the same verbs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pld_search.records.trial import LaunchRecord


class Job(Protocol):
    """One launched run."""

    pid: int
    process_started: float

    def poll(self) -> int | None:
        """The exit code once the run has ended (negative: by that signal), None before."""

    def stop(self) -> None:
        """Ask the run to checkpoint and end (SIGTERM)."""

    def kill(self) -> None:
        """End the run now, with everything it started."""


class Launcher(Protocol):
    """Starts runs, and finds those that a dead coordinator left behind."""

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Job:
        """Start `command` for the run in `folder`, stdout and stderr appended to its `run.log`; `environment` is added to this process's own."""

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Kill what still lives of launches (each with its run's folder) that a dead coordinator did not see end."""
