"""Alternating depth profile: drops every other layer."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.schedules.depth.family import DepthFamily


class AlternateDepth(DepthFamily):
    """p_l = theta for the even (or the odd) layers, counted from 1; p_l = 1 for all others and for layers in `always`.

    Args:
        layers: the layers that are dropped, `even` or `odd`, with l counted from 1.

    >>> AlternateDepth(layers="even").keep(np.array(0.5), 5)
    array([1. , 0.5, 1. , 0.5, 1. ])
    >>> AlternateDepth(layers="odd").keep(np.array(0.5), 5)
    array([0.5, 1. , 0.5, 1. , 0.5])

    Source: "Every Other" of LayerDrop (Fan et al., 2019, arXiv 1909.11556); odd layers in "Don't Drop Dropout" (arXiv
    2609.05275).
    """

    kind: Literal["alternate"] = "alternate"
    layers: Annotated[Literal["even", "odd"], Field(description="which layers are dropped, counted from 1: even | odd")]

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """1 for the layers of the stated parity, numbered from 1, and 0 for the others: float64 (layers,)."""
        number = np.arange(1, layers + 1)
        return np.asarray(number % 2 == (0 if self.layers == "even" else 1), dtype=np.float64)
