"""Exponential schedule of progressive layer dropping: theta approaches its end, quickly at first."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.schedules.temporal.monotone import Monotone
from pld_search.schedules.units import Rate, Share, Steps, rate_per_run, steps_of


class Exponential(Monotone):
    """theta(t) = end + (start - end) exp(-rate t/T) for a rate `/ run`, exp(-rate t) for a rate `/ step`; falling or
    rising.

    With `lag: N steps`, step t has the theta of step max(t - N, 0).

    Args:
        start: keep rate at t = 0, a share in [0, 1].
        end: the keep rate that theta approaches and never quite reaches, a share in [0, 1].
        rate: e-folds, greater than 0, over the whole run (`/ run`) or for each step (`/ step`); the unit is required.
        lag: the number of steps by which the curve is late, 1 or more. DeepSpeed's engine updated theta after a step,
            so its steps 0 and 1 both had theta = 1: `1 step`. Without a lag the curve is the paper's.

    >>> Exponential(start=1.0, end=0.5, rate="100 / run").theta(np.array([0.0, 10.0, 1000.0]), 1000).round(6)
    array([1.     , 0.68394, 0.5    ])
    >>> late = Exponential(start=1.0, end=0.5, rate="0.001 / step", lag="1 step")
    >>> late.theta(np.array([0.0, 1.0, 2.0]), 1000).round(6)
    array([1.    , 1.    , 0.9995])

    Source: progressive layer dropping (Zhang & He, 2020, arXiv 2010.13369): (1 - floor) exp(-gamma t) + floor with
    gamma = 100/T, which is `100 / run`; DeepSpeed's gamma (runtime/progressive_layer_drop.py, up to 0.19.6) is `0.001 /
    step`.
    """

    kind: Literal["exponential"] = "exponential"
    end: Annotated[Share, Field(description="the keep rate it tends to, a share in [0, 1]")]
    rate: Rate
    lag: Annotated[
        Steps | None, Field(description="steps by which the curve comes late; DeepSpeed's engine: `1 step`")
    ] = None

    @property
    def per_step(self) -> bool:
        """Whether the rate counts steps, or a lag is stated."""
        return self.rate.endswith("/ step") or self.lag is not None

    def bends(self, total: int) -> list[int]:
        """Returns the end of the lag, if there is one."""
        return [] if self.lag is None else [steps_of(self.lag, total)]

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns `end` + (`start` - `end`) exp(-rate u), with t counted from the end of the lag: float64 of step's
        shape.
        """
        if self.lag is not None:
            step = np.maximum(step - steps_of(self.lag, total), 0.0)
        folds = rate_per_run(self.rate, total) * (step / total)
        return self.end + (self.start - self.end) * np.exp(-folds)
