"""Stages schedule: theta is piecewise constant."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pld_search.errors import Refused, below
from pld_search.schedules.staged_values import first_is_the_start, places
from pld_search.schedules.temporal.pointwise import Points, Pointwise


class Stages(Pointwise):
    """theta(t) = the value of the stage at t: value_i for begin_i <= t < begin_(i+1); falling, rising or neither.

    Args:
        stages: begin -> keep rate, in order, the first at `0 %`. A begin is a share of the run (`30 %`, rounded to a
            step by floor(x + 0.5)) or a number of steps (`3000 steps`). A stage holds from its begin to the next begin,
            the last stage to t = T.

    >>> Stages(stages={"0 %": 0.5, "30 %": 0.75, "60 %": 1.0}).theta(np.array([0.0, 299.0, 300.0, 600.0, 1000.0]), 1000)
    array([0.5 , 0.5 , 0.75, 1.  , 1.  ])

    Source: RaPTr (Panigrahi et al., ICLR 2025, arXiv 2402.05913), whose path length grows in stages.
    """

    key: ClassVar[str] = "stages"
    kind: Literal["stages"] = "stages"
    stages: Points

    @model_validator(mode="after")
    def _from_the_start(self) -> Self:
        reasons = first_is_the_start(self.pairs)
        if reasons:
            raise Refused(below(("stages",), reasons))
        return self

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns the keep rate of the last stage that begins at or before t: float64 of step's shape."""
        values = np.array([share for _, share in self.pairs])
        return np.asarray(values[np.searchsorted(places(self.pairs, total), step, side="right") - 1])
