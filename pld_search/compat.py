"""Objects of other projects under their own names, for scripts that still call them. Does not need torch."""

from __future__ import annotations

import numpy as np

from pld_search.errors import ConfigError, Problem
from pld_search.schedules.temporal.exponential import Exponential
from pld_search.schedules.units import exact, plain


class ProgressiveLayerDrop:
    """DeepSpeed's scheduler of the same name: theta(t) = (1 - theta) exp(-gamma t) + theta, as its engine used it.

    The engine passed `get_state()` to the model's forward of step k and called `update_state(k)` after it, k = 0, 1,
    ... So steps 0 and 1 both see 1.0, and step k sees theta(k - 1). To resume at step k, call `update_state(k - 1)`
    first (the engine did not do that, and its first step after a resume saw 1.0).

    >>> pld = ProgressiveLayerDrop(theta=0.5, gamma=0.001)
    >>> pld.get_state()
    {'progressive_layer_drop': True, 'pld_theta': 1.0}
    >>> pld.update_state(1000)
    >>> round(pld.get_theta(), 6)
    0.68394

    Args:
        theta: the floor that the curve tends to, a share above 0 and at most 1.
        gamma: the rate in e-folds a step, from 1e-9 to 1000.

    Raises ConfigError for numbers out of range. Source: deepspeed/runtime/progressive_layer_drop.py and engine.py, up
    to 0.19.6.
    """

    def __init__(self, theta: float = 0.5, gamma: float = 0.001) -> None:
        problems = (
            [Problem("out of range", ("theta",), allowed="above 0, at most 1", given=str(theta))]
            if not 0 < theta <= 1
            else []
        )
        problems += (
            [Problem("out of range", ("gamma",), allowed="above 0, at most 1000", given=str(gamma))]
            if not 1e-9 <= gamma <= 1000
            else []
        )
        if problems:
            raise ConfigError(problems)
        self.theta, self.gamma, self.current_theta = theta, gamma, 1.0
        self._curve = Exponential(start=1.0, end=float(theta), rate=f"{plain(exact(gamma))} / step")

    def get_state(self) -> dict[str, bool | float]:
        """Returns the keyword arguments for a client's forward."""
        return {"progressive_layer_drop": True, "pld_theta": self.get_theta()}

    def get_theta(self) -> float:
        """Returns the keep rate of the next forward, 0 .. 1."""
        return self.current_theta

    def update_state(self, global_step: int) -> None:
        """Updates the keep rate after step `global_step` (from 0)."""
        # with one step a run, a rate / step equals a rate / run
        self.current_theta = float(self._curve.theta(np.array(float(global_step)), 1))
