"""Table schedule: theta from a table of points."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pld_search.errors import Reason, Refused, below
from pld_search.schedules.staged_values import first_is_the_start, places
from pld_search.schedules.temporal.pointwise import Points, Pointwise


class Table(Pointwise):
    """theta(t) from points (place, keep rate); falling, rising or neither.

    between = `linear`: on the straight line between the points on both sides of t;
    between = `step`: the value of the last point at or before t.

    Args:
        points: place -> keep rate, in order, the first at `0 %`; places as in `stages`. With `linear` the last place is
            `100 %`; with `step` the last value holds to t = T.
        between: `linear` or `step`.

    >>> points = {"0 %": 1.0, "50 %": 0.5, "100 %": 0.75}
    >>> Table(points=points, between="linear").theta(np.array([0.0, 250.0, 500.0, 750.0, 1000.0]), 1000)
    array([1.   , 0.75 , 0.5  , 0.625, 0.75 ])
    >>> Table(points=points, between="step").theta(np.array([0.0, 499.0, 500.0, 999.0, 1000.0]), 1000)
    array([1.  , 1.  , 0.5 , 0.5 , 0.75])

    Source: none; for curves without a formula in the library.
    """

    key: ClassVar[str] = "points"
    kind: Literal["table"] = "table"
    points: Points
    between: Annotated[
        Literal["step", "linear"],
        Field(description="between two points: step (hold the last) | linear (a straight line)"),
    ]

    @model_validator(mode="after")
    def _covers_the_run(self) -> Self:
        reasons = first_is_the_start(self.pairs)
        pairs = self.pairs
        if self.between == "linear" and pairs and pairs[-1][0] != "100 %":
            reasons.append(
                Reason(
                    (pairs[-1][0],),
                    "the end of the run is not covered: with `between: linear` the last place is `100 %`",
                )
            )
        if reasons:
            raise Refused(below(("points",), reasons))
        return self

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns the curve through the points by steps or straight lines: float64 of step's shape."""
        at = np.array(places(self.pairs, total), dtype=np.float64)
        values = np.array([share for _, share in self.pairs])
        if self.between == "step":
            return np.asarray(values[np.searchsorted(at, step, side="right") - 1])
        last = np.append(at[1:] != at[:-1], True)  # the last of several places that a short run rounds to one step
        return np.asarray(np.interp(step, at[last], values[last]))
