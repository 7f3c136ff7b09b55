"""The record of a run that several ranks execute: the first writes it, the others go through the same motions."""

from __future__ import annotations

from pathlib import Path

from pld_search.records.events import RunEvent
from pld_search.records.run_record import RunWriter
from pld_search.training.parallel.ranks import Ranks


class Unwritten(RunWriter):
    """A record that another rank writes; it has the same `attempt`."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt

    def emit(self, event: RunEvent, *, durable: bool = False) -> None:
        """Nothing: the first rank has the same event."""

    def sync(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def open_log(path: Path, ranks: Ranks) -> RunWriter:
    """The writer of this attempt; raises on every rank where the first cannot open the file."""
    opened: list[RunWriter] = []

    def first() -> int:
        opened.append(RunWriter(path))
        return opened[0].attempt

    attempt = ranks.first_does(first)
    return opened[0] if opened else Unwritten(attempt)
