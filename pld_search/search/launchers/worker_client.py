"""The coordinator's side of a warm worker: starts it, requests runs and receives their exit codes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pld_search.errors import StudyError
from pld_search.host import processes
from pld_search.host.child import tied
from pld_search.host.fork_server import READY, ForkRequest, Lines, as_line

_MODULE = "pld_search.cli.warm_worker"
_RUN = [sys.executable, "-m", "pld_search", "train"]
_MANY = "--ranks"
_ROOM = 4096  # maximum bytes of a run's mark, as of a path
_PATIENCE = 180.0  # maximum seconds for the worker's imports
_PER_RUN = ("CUDA_VISIBLE_DEVICES", processes.RUN)  # variables that no import reads


def can_fork(command: Sequence[str], mark: str) -> bool:
    """Returns whether the command is a run of one process of this package whose mark fits."""
    return [*command[: len(_RUN)]] == _RUN and _MANY not in command and len(os.fsencode(mark)) < _ROOM - 8


class WarmWorker:
    """A process that has loaded the modules of a run. It forks a process for each run, and ends with the coordinator.

    Raises StudyError if it cannot be started or does not answer; a fresh process then reports the reason in the run's
    log.
    """

    def __init__(self, environment: Mapping[str, str], room: int) -> None:
        self._given, self._codes = _shared(environment), dict[int, int | None]()
        own, its = socket.socketpair()
        own.settimeout(_PATIENCE)
        self._lines, self._is_open, self._retired = Lines(own), True, False
        with its:
            self._process = subprocess.Popen(
                [*tied([sys.executable, "-m", _MODULE, str(its.fileno())]), "-" * room],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**self._given, processes.RUN: "-" * _ROOM},
                process_group=0,
                pass_fds=[its.fileno()],
            )
        self._wait_for(READY)

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Returns whether the worker takes runs, and a run with this environment would load the same modules."""
        return self._is_open and not self._retired and self._given == _shared(environment)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        """Forks a run and returns its process id."""
        try:
            self._lines.send(as_line(ForkRequest([*command], dict(environment), str(log))))
        except OSError as error:
            self._lose()
            raise _lost() from error
        return self._wait_for("started")

    def code(self, pid: int) -> int | None:
        """Returns the exit code of a run that this worker started, negative after a signal; None while the run lives.

        If the worker was killed, its runs end with SIGKILL.
        """
        self._lines.channel.setblocking(False)
        try:
            while self._is_open and self._hear():
                pass
        except BlockingIOError:
            pass
        return self._codes[pid]

    def retire(self) -> None:
        """Takes no more runs; the worker ends when all its runs have ended."""
        self._retired = True
        if self._is_open:
            with contextlib.suppress(OSError):  # the worker may have ended
                self._lines.channel.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Ends the worker, and with it its runs."""
        self._process.kill()
        self._process.wait()
        self._lines.channel.close()
        self._is_open = False

    def _wait_for(self, word: str) -> int:
        self._lines.channel.settimeout(_PATIENCE)
        try:
            while (values := self._lines.received()) is not None:
                found = None
                for value in values:
                    found = value.get(word, found)
                    self._note(value)
                if found is not None:
                    return int(found)
        except OSError:  # no answer in time, or the worker has ended
            pass
        self._lose()
        raise _lost()

    def _hear(self) -> bool:
        values = self._lines.received()
        if values is None:
            self._lose()
            return False
        for value in values:
            self._note(value)
        return True

    def _note(self, value: Mapping[str, int]) -> None:
        if "started" in value:
            self._codes[value["started"]] = None
        if "ended" in value:
            self._codes[value["ended"]] = value["code"]

    def _lose(self) -> None:
        """Closes a worker that has ended or does not answer, and kills its runs."""
        self.close()
        for pid, code in self._codes.items():
            if code is None:
                processes.signal_group(pid, processes.KILL)
                self._codes[pid] = -processes.KILL


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in _PER_RUN}


def _lost() -> StudyError:
    return StudyError("the warm worker does not answer")
