"""What a launcher offers to the coordinator: it starts runs somewhere, and nothing but files goes to and fro.

A run is a command on a folder that both sides see. Its events say how it goes on; a Job only says when it ended and
with what code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pld_search.records.trial_record import LaunchRecord

LOG = "run.log"


class Job(Protocol):
    """One launched run."""

    @property
    def trace(self) -> Mapping[str, Any]:
        """What `launched` records hold to find it again: `pid`, `process_started` and `host` of a process here, else
        `job`.
        """

    @property
    def waiting(self) -> bool:
        """Whether it has yet to begin, for want of a free place."""

    @property
    def verdict(self) -> str | None:
        """`outcome: reason` where the launcher knows better than an exit code why it ended (a lost node), else None."""

    def poll(self) -> int | None:
        """The exit code once the run has ended (negative: by that signal), None before. Returns at once."""

    def stop(self) -> None:
        """Ask the run to checkpoint and end (SIGTERM)."""

    def kill(self) -> None:
        """End the run now, with everything it started."""


class Launcher(Protocol):
    """Starts runs, and finds those that a dead coordinator left behind."""

    name: str
    lasting: bool
    """Whether its jobs outlive the coordinator, so that a later one can take them up; what it is to launch is then
    recorded before.
    """

    def adopt(self, launch: LaunchRecord) -> Job | None:
        """The job of an earlier coordinator, which goes on or has ended since; None where jobs do not last, or nobody
        knows it.

        That coordinator may have died before it could record the job: then `launch` has but its name. Raises StudyError
        where the cluster cannot be asked.
        """

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> Job:
        """Start `command` for the run in `folder`, stdout and stderr appended to its `run.log`; `environment` is added
        to this process's own.

        `name` is this launch's alone; a cluster shows it and finds the job by it.
        """

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Kill what still lives of its own launches (each with its run's folder) that a dead coordinator did not see
        end.
        """

    def close(self) -> None:
        """The coordinator ends."""
