"""The protocol of a launcher: it starts runs somewhere and exchanges nothing but files with them.

A run is a command on a folder that both sides see. The run's events report its progress; a Job reports only its end and
its exit code.
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
        """The fields of `launched` records that find the job again: `pid`, `process_started` and `host` of a local
        process, else `job`.
        """

    @property
    def waiting(self) -> bool:
        """Whether the job still waits for a free place."""

    @property
    def verdict(self) -> str | None:
        """`outcome: reason` when the launcher knows more about the end than the exit code (a lost node), else None."""

    def poll(self) -> int | None:
        """Returns the exit code once the run has ended (negative: ended by that signal), None before. Returns
        at once.
        """

    def stop(self) -> None:
        """Asks the run to write a checkpoint and end (SIGTERM)."""

    def kill(self) -> None:
        """Ends the run and all processes it started, now."""


class Launcher(Protocol):
    """Starts runs and finds runs that a dead coordinator left behind."""

    name: str
    lasting: bool
    """Whether jobs outlive the coordinator, so that a later coordinator can take them over; launches are then recorded
    before they start.
    """

    def adopt(self, launch: LaunchRecord) -> Job | None:
        """Returns the job of an earlier coordinator, still live or ended since; None when jobs do not last or the job
        is unknown.

        The earlier coordinator may have died before it recorded the job: `launch` then holds only its name. Raises
        StudyError when the cluster cannot be asked.
        """

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> Job:
        """Starts `command` for the run in `folder`; stdout and stderr are appended to its `run.log`. `environment` is
        added to this process's environment.

        `name` is unique to this launch; a cluster shows it and finds the job by it.
        """

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Kills the live processes of this launcher's `launches` (each with its run's folder) whose end a dead
        coordinator did not see.
        """

    def close(self) -> None:
        """Releases the launcher when the coordinator ends."""
