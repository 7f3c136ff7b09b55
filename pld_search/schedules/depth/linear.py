"""Linear depth profile: the drop rate rises evenly with depth."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.depth.family import DepthFamily, IndexField, fractions_of


class LinearDepth(DepthFamily):
    """p_l = 1 - f_l (1 - theta), with f_l by the index convention (depth/family.py); p_l = 1 for layers in `always`.

    >>> LinearDepth(index="l/L").keep(np.array(0.5), 4)
    array([0.875, 0.75 , 0.625, 0.5  ])
    >>> LinearDepth(index="(l-1)/L").keep(np.array(0.5), 4)
    array([1.   , 0.875, 0.75 , 0.625])
    >>> LinearDepth(index="(l-1)/(L-1)").keep(np.array(0.5), 3)
    array([1.  , 0.75, 0.5 ])

    Source: l/L progressive layer dropping (Zhang & He, 2020, arXiv 2010.13369) and No Train No Gain; (l-1)/L
    DeepSpeed's loop; (l-1)/(L-1) "Don't Drop Dropout" (arXiv 2609.05275).
    """

    kind: Literal["linear"] = "linear"
    index: IndexField

    def fractions(self, layers: int) -> NDArray[np.float64]:
        """Returns the relative depth of each layer by the index convention: float64 (layers,), each in [0, 1]."""
        return fractions_of(self.index, layers)
