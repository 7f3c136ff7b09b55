"""The base class of families that move in one direction from a start to an end."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.units import Share


class Monotone(TemporalFamily):
    """A monotone curve: every theta lies between `start` and `end`, in either order."""

    kind: str  # each family narrows it to its own word; declared here so that it stays the first key of a dump
    start: Annotated[Share, Field(description="keep rate at t = 0, a share in [0, 1]")]
    end: Annotated[Share, Field(description="keep rate at t = T, a share in [0, 1]")]

    @property
    def lowest(self) -> float:
        """The smaller of the two ends."""
        return min(self.start, self.end)
