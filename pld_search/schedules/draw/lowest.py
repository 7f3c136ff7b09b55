"""Draw without sampling: the lowest layers run."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.draw.family import DrawFamily, Sample, as_bool
from pld_search.schedules.keep_grid import STEPS

_HALF_STEP = np.uint64(STEPS // 2)
_BITS = np.uint64(32)


class Lowest(DrawFamily):
    """Runs the lowest round(S_t) layers at step t, with S_t = sum of p_l(t), rounded by floor(x + 0.5). Nothing is
    random.

    The depth profile matters only through its sum. A layer runs or does not, so there is no probability to rescale by.

    >>> p = np.array([[2**31, 2**31, 2**31, 2**31, 2**30]], dtype=np.uint64)   # S = 2.25
    >>> Lowest(per="group", unit="layer").kept(Sample(seed=0, part="", steps=np.array([0]), groups=1, grid=p))
    array([[[ True,  True, False, False, False]]])

    Source: the naive schedule that the reviewers of PLD ask for: a growing depth without sampling.
    """

    whole: ClassVar[bool] = True
    kind: Literal["lowest"] = "lowest"

    def effective(self, grid: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Returns 1 for the lowest layers, as many as the rounded sum of `grid`, and 0 above: grid steps (..., L)."""
        count = (grid.sum(axis=-1) + _HALF_STEP) >> _BITS
        runs = np.asarray(np.arange(grid.shape[-1], dtype=np.uint64) < count[..., None], dtype=np.uint64)
        return runs * np.uint64(STEPS)

    def kept(self, sample: Sample) -> NDArray[np.bool_]:
        """Keeps the same lowest layers for every group: bool (S, groups, L)."""
        runs = as_bool(self.effective(sample.grid) > 0)[:, None, :]
        return np.repeat(runs, sample.groups, axis=1)

    def variance(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns zero, since nothing is drawn: (..., L) -> (...,)."""
        return np.zeros(p.shape[:-1])
