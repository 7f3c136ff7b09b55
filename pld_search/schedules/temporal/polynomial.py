"""Polynomial schedule: the distance of theta from its end is a power of the remaining share of the run."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.schedules.temporal.monotone import Monotone


class Polynomial(Monotone):
    """theta(t) = end + (start - end) (1 - t/T)^power; falling or rising.

    A power above 1 moves quickly at first and then saturates; a power below 1 moves late; 1 equals `linear`.

    Args:
        start: keep rate at t = 0, a share in [0, 1].
        end: keep rate at t = T, a share in [0, 1].
        power: the exponent, greater than 0, at most 100.

    >>> Polynomial(start=1.0, end=0.5, power=3.0).theta(np.array([0.0, 500.0, 1000.0]), 1000)
    array([1.    , 0.5625, 0.5   ])

    Source: polynomial decay as in optax.polynomial_schedule; the reviewers of PLD asked for it.
    """

    kind: Literal["polynomial"] = "polynomial"
    power: Annotated[
        float,
        Field(gt=0, le=100, description="exponent of what is left of the run: above 1 saturates, below 1 moves late"),
    ]

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns `end` + (`start` - `end`) (1 - u)^power, u = t/T: float64 of step's shape."""
        return self.end + (self.start - self.end) * (1.0 - step / total) ** self.power
