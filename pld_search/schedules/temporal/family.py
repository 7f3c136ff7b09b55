"""The interface of a temporal family: theta(t), the keep rate at step t of a run of T steps, before the depth family
spreads it over the layers.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from pld_search.errors import Reason
from pld_search.frozen import SparseSpec


class TemporalFamily(SparseSpec):
    """A frozen value with `theta(step, total)`. t runs over 0 .. T; t = T is the end of the run, where u = t/T = 1.

    Theta of a step depends only on that step, so any step can be read without the steps before it.
    """

    @property
    @abstractmethod
    def lowest(self) -> float:
        """A lower bound of theta, for any length of the run."""

    @property
    def per_step(self) -> bool:
        """Whether a number of this curve counts steps, which ties the curve to the length of the run."""
        return False

    def bends(self, total: int) -> list[int]:  # noqa: ARG002 - most families are one smooth curve
        """Returns the steps of a run of `total` steps at which another formula begins. Between two of them theta is
        smooth and monotone.
        """
        return []

    @abstractmethod
    def theta(self, step: NDArray[np.float64], total: int) -> NDArray[np.float64]:
        """Returns the keep rates in [0, 1] at `step` (any shape, each in 0 .. total): float64 of step's shape."""

    def misfits(self, total: int) -> list[Reason]:  # noqa: ARG002 - most families fit every run
        """Returns the reasons why this curve does not fit a run of `total` steps, each with its path below `temporal`.
        The list is empty when it fits.
        """
        return []
