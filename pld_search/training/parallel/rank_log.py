"""The record of a run on several ranks: the first rank writes it, and the others make the same calls without effect."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.events import RunEvent
from pld_search.records.run_record import RunWriter
from pld_search.training.parallel.rank_group import Ranks


class Unwritten(RunWriter):
    """A record that another rank writes; it has the same `attempt`."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt

    def emit(self, event: RunEvent, *, durable: bool = False) -> None:
        """Does nothing: the first rank writes the same event."""

    def sync(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def open_log(path: Path, ranks: Ranks) -> RunWriter:
    """Returns the writer of this attempt; raises on every rank if the first rank cannot open the file."""
    opened: list[RunWriter] = []

    def first() -> int:
        opened.append(RunWriter(path))
        return opened[0].attempt

    attempt = ranks.first_does(first)
    return opened[0] if opened else Unwritten(attempt)
