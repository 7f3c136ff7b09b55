"""Uniform depth profile: every layer has the same keep probability."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.depth.family import DepthFamily


class UniformDepth(DepthFamily):
    """p_l = theta for every layer (1 for layers in `always`).

    >>> UniformDepth().keep(np.array([1.0, 0.5]), 3)
    array([[1. , 1. , 1. ],
           [0.5, 0.5, 0.5]])
    >>> UniformDepth(always=("first", "last")).keep(np.array(0.5), 4)
    array([1. , 0.5, 0.5, 1. ])

    Source: LayerDrop (Fan et al., 2019, arXiv 1909.11556) and the rebuttal's rows "Random" and "TD only"; with
    `always: [first, last]` RaPTr (arXiv 2402.05913).
    """

    kind: Literal["uniform"] = "uniform"

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """Returns 1 for every layer, which makes each p_l = theta: float64 (layers,)."""
        return np.ones(layers)

    def keep(self, theta: NDArray[np.float64], layers: int) -> NDArray[np.float64]:
        """Maps theta (...,) to keep probabilities (..., layers), each equal to theta to the last bit."""
        keep = np.repeat(theta[..., None], layers, axis=-1)
        keep[..., self._open(layers) == 0.0] = 1.0
        return keep
