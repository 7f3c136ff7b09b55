"""Exponential depth profile of LayerSkip: the drop rate rises with depth, twice as fast at the last layer as at the
first.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.depth.family import DepthFamily, fractions_of


class ExponentialDepth(DepthFamily):
    """p_l = 1 - (2^((l-1)/(L-1)) - 1) (1 - theta): the first layer is never dropped, the last has theta. Layers in
    `always` have p_l = 1.

    With one layer, the only layer is the first: p = 1.

    >>> ExponentialDepth().keep(np.array(0.5), 3).round(6)
    array([1.      , 0.792893, 0.5     ])

    Source: LayerSkip (Elhoushi et al., 2024, arXiv 2404.16710), D(l) = exp(l ln 2 / (L - 1)) - 1 on the drop rate, l
    from 0; torchtune's ScaleType.EXP (modules/layer_dropout.py).
    """

    kind: Literal["exponential"] = "exponential"

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """2^((l-1)/(L-1)) - 1, from 0 at the first layer to 1 at the last: float64 (layers,)."""
        return np.exp2(fractions_of("(l-1)/(L-1)", layers)) - 1.0
