"""Runs as child processes of this machine, each the leader of its own process group.

The separate group keeps a terminal's Ctrl-C from the run (the coordinator decides which runs stop) and makes it
possible to end all processes of a run together. Ranks that lead sessions of their own are found by an environment
variable that every process of a run carries. `launch` is called from the main thread only: PR_SET_PDEATHSIG fires when
the launching *thread* ends.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pld_search.errors import StudyError
from pld_search.host import processes
from pld_search.host.child import tied
from pld_search.host.processes import host, start_time
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.base import LOG
from pld_search.search.launchers.worker_client import WarmWorker, can_fork


class _Child(Protocol):
    """The process of a run."""

    pid: int

    def poll(self) -> int | None:
        """Returns the exit code, negative after a signal; None while it runs."""


class _Forked:
    """A run that a warm worker has forked. After a failed run its worker takes no more runs."""

    def __init__(self, worker: WarmWorker, pid: int) -> None:
        self._worker, self.pid = worker, pid

    def poll(self) -> int | None:
        code = self._worker.code(self.pid)
        if code:
            self._worker.retire()
        return code


class LocalJob:
    """A child process, its group, and every other process with its run's mark."""

    def __init__(self, child: _Child, mark: str) -> None:
        self._child, self._mark = child, mark
        self._code: int | None = None
        self.pid = child.pid
        self.process_started = start_time(child.pid) or time.time()
        self.waiting, self.verdict = False, None  # it starts at once, and its exit code is all that is known

    @property
    def trace(self) -> dict[str, Any]:
        """Host, process id and start time, which identify the process later."""
        return {"pid": self.pid, "process_started": self.process_started, "host": host()}

    def poll(self) -> int | None:
        """Returns the exit code; None while it runs. At its end, kills every process that the run left behind."""
        if self._code is None:
            self._code = self._child.poll()
            if self._code is not None:
                processes.signal_group(self.pid, processes.KILL)  # processes that the run left behind
                if self._code:  # ranks outlive a rank launcher that was killed
                    processes.end_marked({self._mark})
        return self._code

    def stop(self) -> None:
        """Sends SIGTERM to the process group; the run writes a checkpoint and ends."""
        if self.poll() is None:
            processes.stop_group(self.pid)

    def kill(self) -> None:
        """Sends SIGKILL to the process group."""
        if self.poll() is None:
            processes.signal_group(self.pid, processes.KILL)


class LocalLauncher:
    """Starts runs on this machine. `part` distinguishes the processes of the parts of a run over several nodes, which
    may share this machine; empty: the whole run is here. `warm`: runs of one process are forked by a warm worker.
    """

    name = "local"
    lasting = False

    def __init__(self, part: str = "", *, warm: bool = False) -> None:
        self._part, self._warm = part, warm
        self._workers: list[WarmWorker] = []

    def launch(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], name: str) -> LocalJob:  # noqa: ARG002 - a process is found by its pid
        """Starts the command in a separate process group; its output goes to the run's log. Raises StudyError off the
        main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise StudyError("runs are launched from the main thread only: they end with the thread that launched them")
        mark, log = f"{folder.absolute()}{self._part}", folder.absolute() / LOG
        given = {**os.environ, **environment, processes.RUN: mark}
        forked = self._forked(command, given, log) if self._warm and can_fork(command, mark) else None
        return LocalJob(forked or _fresh(command, given, log), mark)

    def _forked(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> _Forked | None:
        """Starts a run in the newest warm worker or in a new one. Returns None if no worker can be started; a fresh
        process then reports the reason in its log.
        """
        try:
            if not self._workers or not self._workers[-1].suits(environment):
                if self._workers:
                    self._workers[-1].retire()
                self._workers.append(WarmWorker(environment, 2 * len(" ".join(command))))
            return _Forked(self._workers[-1], self._workers[-1].start(command, environment, log))
        except StudyError:
            self._warm = False
            return None

    def adopt(self, launch: LaunchRecord) -> None:
        """Returns None: local runs end with their coordinator."""

    def end_survivors(self, launches: Collection[tuple[Path, LaunchRecord]]) -> None:
        """Ends the processes that a coordinator on this host left running; ignores launches of other hosts."""
        here = [(folder, launch) for folder, launch in launches if launch.host == host()]
        for _, launch in here:
            if launch.pid is not None and launch.process_started is not None:
                processes.end_survivor(launch.pid, launch.process_started)
        if here:
            processes.end_marked({str(folder.absolute()) for folder, _ in here})

    def close(self) -> None:
        """Ends the warm workers."""
        for worker in self._workers:
            worker.close()


def _fresh(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            tied([*command]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            process_group=0,
        )
