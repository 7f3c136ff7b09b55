"""Decides which trials get one more seed: every trial that may still be the best, given the spread over seeds.

A trial is near the front while no other trial beats it in every objective by more than two standard errors of the
difference of their means. The deviation between seeds is pooled over the trials that have two or more seeds. While no
trial has two seeds, the deviation is taken as 0: the first trial then gets a second seed, and the deviation is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pld_search.statistics.spread import Spread, pooled

ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial's means over `n` seeds, one an objective; less is better. `sd` holds the standard deviations over seeds,
    None with one seed.
    """

    values: tuple[float, ...]
    n: int
    sd: tuple[float, ...] | None

    @classmethod
    def of(cls, runs: Sequence[Sequence[float]]) -> Measured:
        """Builds the record from the values of each seed's run."""
        spreads = [Spread.of(column) for column in zip(*runs, strict=True)]
        deviations = tuple(spread.sd for spread in spreads if spread.sd is not None)
        return cls(tuple(spread.mean for spread in spreads), len(runs), deviations if len(runs) > 1 else None)

    def spread(self, objective: int) -> Spread:
        """Mean and deviation of one objective."""
        return Spread(self.values[objective], None if self.sd is None else self.sd[objective], self.n)


def near_front(one: Measured, others: Sequence[Measured]) -> bool:
    """Whether no trial of `others` is clearly better than `one` in every objective."""
    deviations = [_pooled([one, *others], objective) for objective in range(len(one.values))]
    return not any(_clearly_better(other, one, deviations) for other in others)


def _clearly_better(other: Measured, one: Measured, deviations: Sequence[float]) -> bool:
    """Whether `other` is less than `one` in every objective by more than `ERRORS` standard errors of the difference."""
    root = math.sqrt(1 / one.n + 1 / other.n)
    columns = zip(other.values, one.values, deviations, strict=True)
    return all(less + ERRORS * sd * root < value for less, value, sd in columns)


def _pooled(trials: Sequence[Measured], objective: int) -> float:
    """Pooled standard deviation over seeds of one objective; 0 where no trial has two seeds."""
    found = pooled(trial.spread(objective) for trial in trials)
    return 0.0 if found is None else found.sd
