"""The share of positions that is predicted: one number, or stages over the run (`rate: {0 %: 30 %, 80 %: 15 %}`)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from pld_search.errors import Reason
from pld_search.schedules.staged_values import held, in_order, misfits, one_or_staged, settled, stages_of
from pld_search.schedules.units import Extent, Share

_WHOSE = "its masks"


@dataclass(frozen=True, slots=True)
class RatesAt:
    """`rates[i]` holds from step `begins[i]` to the next begin; the last rate holds to the end of the run."""

    begins: tuple[int, ...]
    rates: tuple[float, ...]

    def at(self, step: int) -> float:
        """Returns the rate of step t = `step`."""
        return self.rates[bisect_right(self.begins, step) - 1]


def _settled(value: Any) -> Any:
    """Returns one rate unchanged and stages as pairs. Raises Refused for stages without a meaning."""
    return settled(value, _WHOSE)


Rate = Annotated[
    Annotated[Share, Tag("one")]
    | Annotated[dict[Extent, Share], Tag("mapping")]
    | Annotated[tuple[tuple[Extent, Share], ...], Tag("pairs")],
    Discriminator(one_or_staged),
    BeforeValidator(in_order),
    AfterValidator(_settled),
    Field(
        description="share of the positions that are predicted; in stages `{0 %: 30 %, 80 %: 15 %}`, the first at `0 %`"
    ),
]
"""A share, or (place, share) pairs after validation. An experiment with one rate is written and hashed as a share."""


def rates_at(rate: Any, total: int) -> RatesAt:
    """Returns the rate at each step of a run of `total` steps."""
    return RatesAt(*held(stages_of(rate), total))


def rate_misfits(rate: Any, total: int) -> list[Reason]:
    """Returns the reasons why stages of a rate do not fit a run of `total` steps, each with its place."""
    return misfits(rate, total, _WHOSE)
