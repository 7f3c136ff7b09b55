"""SIGTERM and SIGINT as a request: finish the step, write a checkpoint, stop. The second signal kills as usual."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from pld_search.errors import Interrupted

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Catches the first signal while the context lasts; `number` tells which. Outside the main thread it
    catches none.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)

    def hear(self, number: int) -> None:
        """Take over the signal of another rank; 0 is none."""
        self.number = self.number or number or None

    @property
    def requested(self) -> bool:
        return self.number is not None

    def interrupted(self, where: str) -> Interrupted:
        """The exception that ends the process with 128 + the signal's number."""
        number = self.number or signal.SIGTERM
        return Interrupted(f"stopped by {signal.Signals(number).name} {where}", number)
