"""Detects a run that hangs or takes too long, from the files it writes and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

GRACE = 60.0  # seconds between asking a run that took too long to write a checkpoint, and killing it


class Watch:
    """Watches one launch. `spent` is the duration of the run's earlier launches; times in seconds, None for no limit.

    A sign of life is any growth of the run's events, of its fine-tunings' events, or of its log. A run that is stopped
    by hand (SIGSTOP), hangs in a collective or waits for a disk gives none.
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
        """Starts the clock: a run that waits for a place takes no time and owes no sign of life."""
        self._begun = self._changed = self._clock()

    @property
    def seconds(self) -> float:
        """The duration of this launch so far."""
        return self._clock() - self._begun

    def grew(self) -> bool:
        """Whether there are new events since the last look."""
        size = size_of(self._folder / "events.jsonl")
        if size == self._size:
            return False
        self._size, self._changed = size, self._clock()
        return True

    def verdict(self) -> str | None:
        """Returns `stalled: reason` (kill it), `timed_out: reason` (ask it to stop, kill it later), or None."""
        if self._timeout is not None and self._spent + self.seconds > self._timeout:
            return f"timed_out: took longer than {self._timeout:g} s"
        if self._stall is not None and self._clock() - self._changed > self._stall and not self._other_signs():
            return f"stalled: wrote nothing for {self._stall:g} s"
        return None

    def patience_ended(self) -> bool:
        """Whether a run that was asked to stop has used up its grace period; the first call starts the period."""
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
    """Returns the size of a file in bytes; 0 for a missing file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
