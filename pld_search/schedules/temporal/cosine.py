"""Cosine schedule: theta follows half a period of a cosine, slowly at both ends."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.temporal.monotone import Monotone


class Cosine(Monotone):
    """theta(t) = end + (start - end) (1 + cos(pi t/T)) / 2; falling or rising.

    Args:
        start: keep rate at t = 0, a share in [0, 1].
        end: keep rate at t = T, a share in [0, 1].

    >>> Cosine(start=1.0, end=0.5).theta(np.array([0.0, 250.0, 500.0, 1000.0]), 1000).round(6)
    array([1.      , 0.926777, 0.75    , 0.5     ])

    Source: the annealing of SGDR (Loshchilov & Hutter, 2017, arXiv 1608.03983), on the keep rate instead of the
    learning rate.
    """

    kind: Literal["cosine"] = "cosine"

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Follows half a period of a cosine from `start` to `end`: float64 of step's shape."""
        return self.end + (self.start - self.end) * ((1.0 + np.cos(np.pi * (step / total))) / 2.0)
