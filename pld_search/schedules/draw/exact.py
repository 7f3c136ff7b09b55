"""Exact draw: keeps a fixed number of layers at each step."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.draw.family import DrawFamily, Sample
from pld_search.schedules.draw.pivotal import pivotal
from pld_search.schedules.keep_grid import STEPS

_LOW = np.uint64(STEPS - 1)
_HALF = np.uint64(32)


class Exact(DrawFamily):
    """Keeps k_t layers at step t, with k_t the floor or the ceiling of S_t = sum of p_l(t), and every layer with its
    own p_l.

    k_t = floor(C_t + S_t + u) - floor(C_t + u), with C_t the sum of S_s over s < t and u one random start for each run
    and group. So the number of layers kept over any range of steps stays within 1 of its expectation. A random-order
    pivotal draw (draw/pivotal.py) chooses the layers: marginals are exactly p_l, and layers with 0 < p < 1 appear in
    every combination that the count admits.

    >>> p = np.full((4, 4), 2**30 * 3, dtype=np.uint64)                        # p = 0.75: S = 3
    >>> sample = Sample(seed=0, part="", steps=np.arange(4), groups=1, grid=p, before=np.zeros(4, dtype=np.uint64))
    >>> Exact(per="group", unit="layer").kept(sample).sum(axis=-1).ravel()
    array([3, 3, 3, 3])

    Source: the count by systematic sampling in time (Madow, 1949); the layers by Deville & Tille, "Unequal probability
    sampling without replacement through a splitting method", Biometrika 85, 1998. RaPTr (arXiv 2402.05913) also draws a
    fixed number of layers.
    """

    counts: ClassVar[bool] = True
    kind: Literal["exact"] = "exact"

    def kept(self, sample: Sample) -> NDArray[np.bool_]:
        """Keeps k_t layers at each step, chosen by pivotal sampling: bool (S, groups, L).

        Raises ValueError without `sample.before`.
        """
        if sample.before is None:
            raise ValueError("an exact draw counts: it needs the running sum before its steps")
        steps, layers = sample.grid.shape
        total = sample.grid.sum(axis=-1)
        carried = (sample.before[:, None] + sample.word_of_run(":start")[None, :]) & _LOW
        extra = (carried + (total & _LOW)[:, None]) >> _HALF  # 1 where k_t is the ceiling
        grid = np.broadcast_to(sample.grid[:, None, :], (steps, sample.groups, layers)).reshape(-1, layers)
        half = -(-layers // 2)
        order = sample.words(":order", half).reshape(len(grid), half)
        duels = sample.words("", layers).reshape(len(grid), layers)
        return pivotal(grid, order, duels, extra.reshape(-1) > 0).reshape(steps, sample.groups, layers)

    def variance(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns f (1 - f), with f the fractional part of the expected number of layers: (..., L) -> (...,)."""
        part = np.asarray(p.sum(axis=-1)) % 1.0
        return part * (1 - part)
