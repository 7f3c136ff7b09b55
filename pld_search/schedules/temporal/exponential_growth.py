"""Exponential-growth schedule of LayerSkip: theta moves slowly at first and twice as fast at the end."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.temporal.monotone import Monotone


class ExponentialGrowth(Monotone):
    """theta(t) = start + (end - start) (2^(t/T) - 1); falling or rising.

    Args:
        start: keep rate at t = 0, a share in [0, 1].
        end: keep rate at t = T, a share in [0, 1].

    >>> ExponentialGrowth(start=1.0, end=0.9).theta(np.array([0.0, 500.0, 1000.0]), 1000).round(6)
    array([1.      , 0.958579, 0.9     ])

    Source: LayerSkip (Elhoushi et al., 2024, arXiv 2404.16710), S(t) = exp(t ln 2 / (T - 1)) - 1 on the drop rate. This
    class has T in place of T - 1, as torchtune's get_scale (modules/layer_dropout.py).
    """

    kind: Literal["exponential-growth"] = "exponential-growth"

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns `start` + (`end` - `start`) (2^u - 1), u = t/T: float64 of step's shape."""
        return self.start + (self.end - self.start) * (np.exp2(step / total) - 1.0)
