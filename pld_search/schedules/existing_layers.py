"""The number of layers that exist at each step of a run: one number, or a stack that grows in stages (specs/growth.py).

A schedule sees only layers that exist. At a step with n layers the depth family is evaluated for a model of n layers,
and p_l = 0 for the layers above. Progress stays u = t/T of the whole run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.schedules.rising_stages import StagesAt

Where = NDArray[np.bool_] | EllipsisType


@dataclass(frozen=True, slots=True)
class LayersAt(StagesAt):
    """`sizes[i]` layers exist from step `begins[i]` to the next begin; the last size lasts to the end of the run.

    Full depth means the last size.

    >>> stack = LayersAt(begins=(0, 300, 600), sizes=(3, 6, 12))
    >>> stack.at([0, 299, 300, 600, 1000])
    array([ 3,  3,  6, 12, 12])
    >>> stack.after(300), stack.after(301)
    (3, 6)
    """

    def after(self, done: int) -> int:
        """Returns the layers that exist after `done` completed steps, before the next step adds layers."""
        return self.before(max(done - 1, 0))

    def mean(self, total: int) -> float:
        """Returns the mean number of layers that exist, over the steps of a run."""
        return self.sum(total) / total

    def spread(self, step: ArrayLike, of_size: Callable[[Where, int], NDArray[np.uint64]]) -> NDArray[np.uint64]:
        """Returns the grid steps of every layer at `step` (any shape): (..., final), 0 for layers that do not exist.

        `of_size(where, n)` gives the grid steps of a model of n layers, for the steps that `where` selects.
        """
        if len(self.sizes) == 1:
            return of_size(..., self.final)
        exist = self.at(step)
        grid = np.zeros((*exist.shape, self.final), dtype=np.uint64)
        for size in self.sizes:
            where = np.asarray(exist == size)
            if where.any():
                grid[where, :size] = of_size(where, size)
        return grid


Layers = int | LayersAt


def layers_at(layers: Layers) -> LayersAt:
    """Returns a LayersAt as it is, and a number of layers as a stack that never grows."""
    return layers if isinstance(layers, LayersAt) else LayersAt((0,), (layers,))
