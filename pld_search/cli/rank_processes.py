"""The processes of the ranks on this machine: started, watched, and ended together.

Each process leads a separate process group, so a terminal's Ctrl-C reaches it only once, through this process. Each
process ends with this process, even when `kill -9` ends it (host/child.py).
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from pld_search.host.child import tied
from pld_search.host.processes import KILL
from pld_search.host.signals import caught

_GRACE = 3.0  # seconds in which ranks may notice that another rank has gone, and report it
_PATIENCE = 30.0  # seconds after which a rank that was asked to end is killed
_POLL = 0.05


class RankProcesses:
    """One process for each of the environments. Call `run` in the main thread: signals arrive there, and a rank ends
    with the *thread* that launched it.

    codes: the exit codes, negative when a signal ended the rank, None while it runs. asked: the signals that were
    passed on. lost: the rank (counted on this machine) that a signal from elsewhere ended first.
    """

    def __init__(self, command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
        self._command, self._environments = list(command), list(environments)
        self._children: list[subprocess.Popen[bytes]] = []
        self._complete, self._pending = False, list[int]()
        self.codes: list[int | None] = [None] * len(self._environments)
        self.asked: list[int] = []
        self.lost: int | None = None

    def run(self) -> None:
        """Starts all ranks and waits until all have ended. When one fails, the others end by themselves or are
        killed.
        """
        with self._signals():
            try:
                for environment in self._environments:
                    self._children.append(self._started(environment))
                self._complete = True
                for number in self._pending:
                    self._send(number)
                self._wait()
            finally:
                self._send(KILL)  # no rank survives when this process goes on after an error

    def _started(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(tied(self._command), stdin=subprocess.DEVNULL, env=dict(environment), process_group=0)

    def _wait(self) -> None:
        while not self._ended() and not any(self.codes):
            time.sleep(_POLL)
        self._note_lost()
        for seconds, number in ((_GRACE, signal.SIGTERM), (_PATIENCE, KILL)):
            limit = time.monotonic() + seconds
            while not self._ended() and time.monotonic() < limit:
                time.sleep(_POLL)
            self._send(number)
        while not self._ended():
            time.sleep(_POLL)

    def _ended(self) -> bool:
        """Whether all ranks have ended; updates their exit codes."""
        self.codes = [child.poll() for child in self._children]
        return None not in self.codes

    def _note_lost(self) -> None:
        killed = [rank for rank, code in enumerate(self.codes) if (code or 0) < 0 and -(code or 0) not in self.asked]
        self.lost = killed[0] if killed else None

    def _send(self, number: int) -> None:
        for child in self._children:
            child.send_signal(number)  # does nothing for an ended child

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Passes SIGTERM and SIGINT on to the ranks, once all of them are started."""

        def forward(number: int, _frame: FrameType | None) -> None:
            self.asked.append(number)
            if self._complete:
                self._send(number)
            else:
                self._pending.append(number)

        with caught(forward):
            yield
