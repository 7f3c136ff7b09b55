"""Ctrl-C and SIGTERM as requests: the first asks the study to checkpoint and stop, the second to end now."""

from __future__ import annotations

import signal
from types import TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Catches signals while the context lasts (main thread only): `number` is the first one, `urgent` after a
    second.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.urgent = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        self._before = {each: signal.signal(each, self._note) for each in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def request(self, *, now: bool = False) -> None:
        """The same by a request of another process: as a first SIGTERM; `now` as a second."""
        self._note(signal.SIGTERM)
        self.urgent |= now

    def _note(self, number: int, *_: object) -> None:
        self.urgent |= self.number is not None
        self.number = self.number or number

    @property
    def exit_code(self) -> int:
        """128 + the first signal's number."""
        return 128 + (self.number or 0)
