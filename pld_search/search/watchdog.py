"""Whether a run hangs or takes too long: seen from outside, by the files it writes and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

GRACE = 60.0  # seconds between asking a run that took too long to checkpoint and killing it


class Watch:
    """Looks at one launch. `spent` is what earlier launches of the run took; times in seconds, None for no limit.

    A sign of life is any growth of the run's events, of those of its fine-tunings, or of its log. A run stopped by hand
    (SIGSTOP), hanging in a collective or waiting for a disk gives none.
    """

    def __init__(
        self,
        folder: Path,
        timeout: float | None,
        stall: float | None,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._timeout, self._stall, self._spent, self._clock = folder, timeout, stall, spent, clock
        self.begin()
        self._size, self._signs = size_of(folder / "events.jsonl"), self._read_signs()
        self._asked: float | None = None

    def begin(self) -> None:
        """Count from now on: a run that waits for a place takes no time and owes no sign of life."""
        self._begun = self._changed = self._clock()

    @property
    def seconds(self) -> float:
        """How long this launch has gone on."""
        return self._clock() - self._begun

    def grew(self) -> bool:
        """Whether there are new events since the last look."""
        size = size_of(self._folder / "events.jsonl")
        if size == self._size:
            return False
        self._size, self._changed = size, self._clock()
        return True

    def verdict(self) -> str | None:
        """`stalled: why` (kill it), `timed_out: why` (ask it to stop, kill it after a while), or None."""
        if self._timeout is not None and self._spent + self.seconds > self._timeout:
            return f"timed_out: took longer than {self._timeout:g} s"
        if self._stall is not None and self._clock() - self._changed > self._stall and not self._other_signs():
            return f"stalled: wrote nothing for {self._stall:g} s"
        return None

    def patience_ended(self) -> bool:
        """Whether a run that was asked to stop has had its time; the first call begins it."""
        self._asked = self._clock() if self._asked is None else self._asked
        return self._clock() - self._asked > GRACE

    def _other_signs(self) -> bool:
        signs = self._read_signs()
        if signs == self._signs:
            return False
        self._signs, self._changed = signs, self._clock()
        return True

    def _read_signs(self) -> tuple[int, ...]:
        return tuple(
            size_of(path) for path in (self._folder / "run.log", *sorted(self._folder.glob("*/*/events.jsonl")))
        )


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
