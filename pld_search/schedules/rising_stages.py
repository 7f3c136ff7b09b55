"""Whole numbers that rise in stages over a run, with the step at which each stage begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.schedules.staged_values import held, stages_of


@dataclass(frozen=True, slots=True)
class StagesAt:
    """`sizes[i]` holds from step `begins[i]` to the next begin; the last size holds to the end of the run.

    Both begins and sizes rise, and begins start at 0. Raises ValueError otherwise.

    >>> length = StagesAt(begins=(0, 900), sizes=(128, 512))
    >>> length.before(899), length.before(900), length.final
    (128, 512, 512)
    >>> list(length.ranges(1000))
    [(0, 900, 128), (900, 1000, 512)]
    """

    begins: tuple[int, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for row in (self.begins, self.sizes) for low, high in pairwise(row))
        if len(self.begins) != len(self.sizes) or self.begins[:1] != (0,) or self.sizes[0] < 1 or not rising:
            raise ValueError("stages begin at step 0 with at least one, and both steps and sizes rise")

    @property
    def final(self) -> int:
        """The size at the end of the run."""
        return self.sizes[-1]

    def number(self, step: int) -> int:
        """Returns the number of the stage of step t = `step`, counted from 0."""
        return bisect_right(self.begins, step) - 1

    def before(self, step: int) -> int:
        """Returns the size at step t = `step`; t = T is the end of the run."""
        return self.sizes[self.number(step)]

    def at(self, step: ArrayLike) -> NDArray[np.int64]:
        """Returns `before` for steps of any shape."""
        return np.array(self.sizes)[np.searchsorted(self.begins, np.asarray(step), side="right") - 1]

    def ranges(self, total: int) -> Iterator[tuple[int, int, int]]:
        """Yields (first step, step after the last, size) of every stage in a run of `total` steps. A stage that begins
        after the run has an empty range.
        """
        bounds = [min(begin, total) for begin in (*self.begins, total)]
        for size, (first, last) in zip(self.sizes, pairwise(bounds), strict=True):
            yield first, last, size

    def sum(self, total: int) -> int:
        """Returns the sum of the sizes over the steps of a run."""
        return sum(size * (last - first) for first, last, size in self.ranges(total))


def stages_in(value: Any, total: int) -> StagesAt:
    """Returns a validated number, or its stages, at each step of a run of `total` steps."""
    return StagesAt(*held(stages_of(value), total))


def stages_at(size: int | StagesAt) -> StagesAt:
    """Returns a number as one stage, and stages unchanged."""
    return size if isinstance(size, StagesAt) else StagesAt((0,), (size,))
