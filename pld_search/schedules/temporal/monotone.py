"""What the families that go one way from a start to an end have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.units import Share


class Monotone(TemporalFamily):
    """A curve that never turns: every theta lies between `start` and `end`, whichever is higher."""

    kind: str  # narrowed to its own word by each family; stated here so that it stays the first key of a dump
    start: Annotated[Share, Field(description="keep rate at t = 0, a share in [0, 1]")]
    end: Annotated[Share, Field(description="keep rate at t = T, a share in [0, 1]")]

    @property
    def lowest(self) -> float:
        """The lower one of the two ends."""
        return min(self.start, self.end)
