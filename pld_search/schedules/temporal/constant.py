"""Constant schedule: theta is the same at every step."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.schedules.temporal.family import TemporalFamily
from pld_search.schedules.units import Share


class Constant(TemporalFamily):
    """theta(t) = value at every step.

    Args:
        value: keep rate, a share in [0, 1].

    >>> Constant(value=0.75).theta(np.array([0.0, 500.0, 1000.0]), 1000)
    array([0.75, 0.75, 0.75])

    Source: LayerDrop (Fan et al., 2019, arXiv 1909.11556; fairseq), which states 1 - value.
    """

    kind: Literal["constant"] = "constant"
    value: Annotated[Share, Field(description="keep rate at every step, a share in [0, 1]")]

    @property
    def lowest(self) -> float:
        """The value itself."""
        return self.value

    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:  # noqa: ARG002 - one signature for every family
        """Returns the value at every step: float64 of step's shape."""
        return np.full_like(step, self.value)
