"""The data of a Gaussian process: values of configurations at stages of runs, reduced to a maximum number, and their
units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]
MOST = 400
"""Maximum number of values in a fit: values of the best half and of the newest half of the runs. The cost of a question
does not grow with the number of runs.
"""
_FAR = 8.0
"""Values are clipped at this many times the distance from the best value to the median, above the best. Without the
clip a diverged run would flatten all other differences.
"""
_TINY = 1e-8


def kept(values: Floats, most: int = MOST) -> Whole:
    """Returns rising indices of the points that a fit uses: all, or the best half and the newest half of `most`."""
    if len(values) <= most:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: most // 2]
    newest = np.setdiff1d(np.arange(len(values)), best)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, newest]))


@dataclass(frozen=True, slots=True)
class Observed:
    """Values (n,), less is better, at `points` (n, columns), at shares of a run in (0, 1] (1: the end), by run (n,)."""

    points: Floats
    values: Floats
    shares: Floats
    runs: Whole

    @classmethod
    def ends(cls, points: Floats, values: Floats, first_run: int = 0) -> Observed:
        """Treats each value as the end of a separate run; runs are numbered from `first_run`."""
        return cls(points, values, np.ones(len(values)), first_run + np.arange(len(values)))

    def and_also(self, other: Observed) -> Observed:
        """Concatenates both."""
        return Observed(
            np.vstack([self.points, other.points]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.runs, other.runs]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def of(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Observed:
        """Selects some of the values."""
        return Observed(self.points[chosen], self.values[chosen], self.shares[chosen], self.runs[chosen])

    def bounded(self, most: int) -> Observed:
        """Returns all values, or the values of the best and the newest runs, at most `most` values."""
        if len(self) <= most:
            return self
        _, first, counts = np.unique(self.runs, return_index=True, return_counts=True)
        order = np.argsort(first)
        ranks = np.array([_rank(self, self.runs[first[each]]) for each in order])
        runs = self.runs[first[order]][kept(ranks, max(2, int(most / counts.mean())))]
        return self.of(np.flatnonzero(np.isin(self.runs, runs))[:most])


def _rank(seen: Observed, run: int) -> float:
    """Returns the rank of a run among all runs at its own latest stage: 0 the best, 1 the worst."""
    own = seen.runs == run
    share = seen.shares[own].max()
    there = seen.values[seen.shares == share]
    value = float(seen.values[own & (seen.shares == share)].min())
    return float((there < value).mean()) - float(share) * _TINY


def standards(seen: Observed, stages: Whole, count: int) -> tuple[Floats, float]:
    """Returns a mean for each stage, and one deviation for all stages: the deviation of the stage with the most
    values.
    """
    values = cut_off(seen, stages)
    known = [values[stages == stage] for stage in range(count)]
    last = next(each for each in reversed(known) if len(each))
    shift = np.array([each.mean() if len(each) else last.mean() for each in known])
    most = max(known, key=len)
    return shift, float(most.std()) or 1.0


def cut_off(seen: Observed, stages: Whole) -> Floats:
    """Returns the values, clipped far above the best value of their stage."""
    values = seen.values.copy()
    for stage in np.unique(stages):
        own = values[stages == stage]
        best, median = float(own.min()), float(np.median(own))
        if median > best:
            values[stages == stage] = np.minimum(own, best + _FAR * (median - best))
    return values
