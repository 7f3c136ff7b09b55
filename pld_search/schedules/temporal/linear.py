"""Linear schedule: theta moves evenly from start to end."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.temporal.monotone import Monotone


class Linear(Monotone):
    """theta(t) = start + (end - start) t/T; falling or rising.

    Args:
        start: keep rate at t = 0, a share in [0, 1].
        end: keep rate at t = T, a share in [0, 1]; the last executed step T - 1 is one step short of it.

    >>> Linear(start=0.5, end=1.0).theta(np.array([0.0, 999.0, 1000.0]), 1000)
    array([0.5   , 0.9995, 1.    ])

    Source: the rising schedules of "Don't Drop Dropout" (arXiv 2609.05275); the falling schedules that the reviewers of
    PLD asked for.
    """

    kind: Literal["linear"] = "linear"

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns the straight line from `start` at t = 0 to `end` at t = T: float64 of step's shape."""
        return self.start + (self.end - self.start) * (step / total)
