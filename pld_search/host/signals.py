"""SIGTERM and SIGINT (Ctrl-C) as requests to a run, to a study, and to processes that this process controls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from pld_search.errors import Interrupted

REQUESTS = (signal.SIGTERM, signal.SIGINT)
ENDING = (*REQUESTS, *(getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)))
"""Signals that end a process from outside: a request, or a closed terminal (where the platform has that signal). SIGINT
is installed explicitly, since a process started in the background inherits it as ignored.
"""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def caught(handler: Handler) -> Iterator[None]:
    """Calls `handler` for SIGTERM and SIGINT while the context lasts (main thread only), then restores the handlers."""
    before = {number: signal.signal(number, handler) for number in REQUESTS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class _Catcher:
    """Catches SIGTERM and SIGINT while the context lasts; `number` is the first one caught."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _catch(self) -> None:
        self._before = {each: signal.signal(each, self._note) for each in REQUESTS}

    def _note(self, number: int, _frame: FrameType | None = None) -> None:
        self.number = self.number or number


class StopRequest(_Catcher):
    """A stop request to a run: finish the step, write a checkpoint, stop. The second signal kills as usual.

    Outside the main thread it catches no signals.
    """

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._catch()
        return self

    def _note(self, number: int, _frame: FrameType | None = None) -> None:
        self.number = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def hear(self, number: int) -> None:
        """Takes over the signal of another rank; 0 means none."""
        self.number = self.number or number or None

    @property
    def requested(self) -> bool:
        """Whether a signal has asked the run to stop."""
        return self.number is not None

    def interrupted(self, where: str) -> Interrupted:
        """Returns the exception that ends the process with 128 + the signal's number."""
        number = self.number or signal.SIGTERM
        return Interrupted(f"stopped by {signal.Signals(number).name} {where}", number)


class Stopping(_Catcher):
    """A stop request to a study: the first signal asks its runs to checkpoint and stop, the second (`urgent`) to end
    now.

    `acknowledge` is called for the first one, inside the signal handler.
    """

    def __init__(self, acknowledge: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.urgent = False
        self._acknowledge = acknowledge

    def __enter__(self) -> Stopping:
        self._catch()
        return self

    def request(self, *, now: bool = False) -> None:
        """Takes a request of another process: like a first SIGTERM; with `now` like a second one."""
        self._note(signal.SIGTERM)
        self.urgent |= now

    def _note(self, number: int, _frame: FrameType | None = None) -> None:
        first = self.number is None
        self.urgent |= not first
        super()._note(number)
        if first:
            self._acknowledge()

    @property
    def exit_code(self) -> int:
        """128 + the first signal's number."""
        return 128 + (self.number or 0)
