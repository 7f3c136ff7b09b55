"""What the families that are given by keep rates at places of the run have in common."""

from __future__ import annotations

from typing import ClassVar

from pld_search.errors import Reason, below
from pld_search.schedules.staged_values import misplaced
from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.temporal.points import Pairs, pairs_of


class Pointwise(TemporalFamily):
    """A curve that holds its `Points` under one key of its own."""

    key: ClassVar[str]

    @property
    def pairs(self) -> Pairs:
        """(place, keep rate), in order."""
        return pairs_of(getattr(self, self.key))

    @property
    def lowest(self) -> float:
        """The lowest keep rate of its points."""
        return min(share for _, share in self.pairs)

    @property
    def per_step(self) -> bool:
        """Whether a place is given as a number of steps."""
        return any(extent.endswith("steps") for extent, _ in self.pairs)

    def misfits(self, total: int) -> list[Reason]:
        """Points outside a run of `total` steps, or out of order in it."""
        return below((self.key,), misplaced(self.pairs, total))
