"""Bernoulli draw: keeps each layer independently of the others."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.draw.family import DrawFamily, Sample, as_bool


class Bernoulli(DrawFamily):
    """Keeps layer l iff its word is below p_l 2^32, independently of the other layers. The number of kept layers varies
    from step to step.

    >>> p = np.array([[2**31, 2**31, 0, 2**32]], dtype=np.uint64)
    >>> Bernoulli(per="group", unit="layer").kept(Sample(seed=0, part="", steps=np.array([7]), groups=1, grid=p))
    array([[[False, False, False,  True]]])

    Source: progressive layer dropping (Zhang & He, 2020, arXiv 2010.13369), LayerDrop (Fan et al., 2019, arXiv
    1909.11556).
    """

    kind: Literal["bernoulli"] = "bernoulli"

    def kept(self, sample: Sample) -> NDArray[np.bool_]:
        """Keeps a layer where its hash word is below its keep probability in grid steps: bool (S, groups, L)."""
        return as_bool(sample.words("", sample.grid.shape[-1]) < sample.grid[:, None, :])

    def variance(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the sum of p_l (1 - p_l): (..., L) -> (...,)."""
        return np.asarray((p * (1 - p)).sum(axis=-1))
