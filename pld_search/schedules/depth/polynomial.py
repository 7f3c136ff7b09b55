"""Polynomial depth profile: the drop rate rises with a power of the depth."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pld_search.schedules.depth.family import DepthFamily, IndexField, fractions_of


class PolynomialDepth(DepthFamily):
    """p_l = 1 - f_l^power (1 - theta), with f_l by the index convention (depth/family.py); p_l = 1 for layers in
    `always`.

    A power above 1 drops mainly the deepest layers; a power below 1 drops nearly all layers; 1 equals `linear`.

    Args:
        index: l/L | (l-1)/L | (l-1)/(L-1).
        power: the exponent, greater than 0, at most 100.

    >>> PolynomialDepth(index="l/L", power=2.0).keep(np.array(0.5), 4)
    array([0.96875, 0.875  , 0.71875, 0.5    ])

    Source: none; between `linear` and the square-root and logarithmic shapes of torchtune's modules/layer_dropout.py.
    """

    kind: Literal["polynomial"] = "polynomial"
    index: IndexField
    power: Annotated[
        float, Field(gt=0, le=100, description="exponent of the depth: above 1 drops in the deepest layers only")
    ]

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """Returns the relative depth of each layer to the power `power`: float64 (layers,), each in [0, 1]."""
        return np.asarray(fractions_of(self.index, layers) ** self.power)
