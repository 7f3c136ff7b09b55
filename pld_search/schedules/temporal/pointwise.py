"""Keep rates at places of a run, `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`, and the base class of families that hold
them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason, below
from pld_search.schedules.staged_values import as_pairs, form_of, in_order, misplaced, places
from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.units import Extent, Share

Pairs = tuple[tuple[str, float], ...]
Points = Annotated[
    Annotated[dict[Extent, Share], Tag("mapping")] | Annotated[tuple[tuple[Extent, Share], ...], Tag("pairs")],
    Discriminator(form_of),
    BeforeValidator(in_order),
    AfterValidator(as_pairs),
    Field(description="keep rates by place: `{0 %: 0.5, 30 %: 0.75, 9000 steps: 1.0}`, in order"),
]


class Pointwise(TemporalFamily):
    """A curve that holds its `Points` under one key of its own."""

    key: ClassVar[str]

    @property
    def pairs(self) -> Pairs:
        """(place, keep rate) of every point, in order."""
        return cast(Pairs, getattr(self, self.key))  # the validator has turned every form into pairs

    @property
    def lowest(self) -> float:
        """The lowest keep rate of its points."""
        return min(share for _, share in self.pairs)

    @property
    def per_step(self) -> bool:
        """Whether a place is given as a number of steps."""
        return any(extent.endswith("steps") for extent, _ in self.pairs)

    def bends(self, total: int) -> list[int]:
        """Returns the steps of the points."""
        return places(self.pairs, total)

    def misfits(self, total: int) -> list[Reason]:
        """Returns reasons against points outside a run of `total` steps or out of order in it."""
        return below((self.key,), misplaced(self.pairs, total))
