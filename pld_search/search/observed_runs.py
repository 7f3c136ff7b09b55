"""The data of a Gaussian process: values of configurations at stages of runs, reduced to a maximum number, and their
units.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """Values (n,), less is better, at `points` (n, columns), at shares of a run in (0, 1] (1: the end), by run (n,).

    studies: (n,), 0 for this study's values (default for all), 1, 2, ... for borrowed final values of other studies.
    """

    points: Floats
    values: Floats
    shares: Floats
    runs: Whole
    studies: Whole = field(default_factory=lambda: np.zeros(0, np.intp))

    def __post_init__(self) -> None:
        if len(self.studies) != len(self.values):
            object.__setattr__(self, "studies", np.zeros(len(self.values), np.intp))

    @property
    def own(self) -> NDArray[np.bool_]:
        """Returns (n,) whether each value belongs to this study."""
        return np.asarray(self.studies == 0)

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
            np.concatenate([self.studies, other.studies]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def of(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Observed:
        """Selects some of the values."""
        return Observed(
            self.points[chosen], self.values[chosen], self.shares[chosen], self.runs[chosen], self.studies[chosen]
        )

    def bounded(self, most: int) -> Observed:
        """Returns all values, or the values of the best and the newest runs, at most `most` values; borrowed values
        stay.
        """
        if len(self) <= most:
            return self
        if not self.own.all():
            borrowed = self.of(~self.own)
            return borrowed.and_also(self.of(self.own).bounded(max(most - len(borrowed), most // 2)))
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


def shares_of(seen: Observed) -> Floats:
    """Returns the stages of the study's own runs as rising shares of a run; the end is always a stage."""
    return np.unique(np.append(seen.shares[seen.own], 1.0))


def stages_of(seen: Observed, shares: Floats) -> Whole:
    """Returns the stage of each value (n,): the index of its share in `shares`; each other study is one more stage."""
    return np.where(seen.own, np.searchsorted(shares, seen.shares), len(shares) + seen.studies - 1)


def scaled(seen: Observed, stages: Whole, count: int) -> tuple[Floats, Floats, float]:
    """Returns the standardised values (n,), the mean of each of the `count` own stages, and the own unit. Values of
    another study have their own mean and unit, because it may have trained longer or another size.
    """
    values = _cut_off(seen, stages)
    own = stages < count
    shift, scale = _standards(values[own], stages[own], count)
    found = np.empty(len(values))
    found[own] = (values[own] - shift[stages[own]]) / scale
    for stage in np.unique(stages[~own]):
        there = stages == stage
        found[there] = (values[there] - values[there].mean()) / (float(values[there].std()) or 1.0)
    return found, shift, scale


def _standards(values: Floats, stages: Whole, count: int) -> tuple[Floats, float]:
    """Returns a mean for each stage, and one deviation for all stages: the deviation of the stage with the most
    values.
    """
    known = [values[stages == stage] for stage in range(count)]
    last = next(each for each in reversed(known) if len(each))
    shift = np.array([each.mean() if len(each) else last.mean() for each in known])
    most = max(known, key=len)
    return shift, float(most.std()) or 1.0


def _cut_off(seen: Observed, stages: Whole) -> Floats:
    """Returns the values, clipped far above the best value of their stage."""
    values = seen.values.copy()
    for stage in np.unique(stages):
        own = values[stages == stage]
        best, median = float(own.min()), float(np.median(own))
        if median > best:
            values[stages == stage] = np.minimum(own, best + _FAR * (median - best))
    return values
