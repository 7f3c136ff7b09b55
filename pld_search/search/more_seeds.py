"""Which trials deserve one more seed: those that may be the best, until their seeds say that they are not.

A trial is near the front while no other beats it in every objective by more than two standard errors of the difference of
their means; the deviation between seeds is pooled over the trials that have two or more. While none has, it is taken as 0: the
first trial gets a second seed, and then it is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pld_search.search.objective import mean

ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A trial's means over `n` seeds, one an objective, less is better; `sd` are sample deviations, None with one seed."""

    values: tuple[float, ...]
    n: int
    sd: tuple[float, ...] | None

    @classmethod
    def of(cls, runs: Sequence[Sequence[float]]) -> Measured:
        """Of the values of each seed's run."""
        columns = list(zip(*runs, strict=True))
        means = tuple(mean(column) for column in columns)
        if len(runs) < 2:
            return cls(means, len(runs), None)
        squares = (math.fsum((value - middle) ** 2 for value in column) for column, middle in zip(columns, means, strict=True))
        return cls(means, len(runs), tuple(math.sqrt(square / (len(runs) - 1)) for square in squares))


def near_front(one: Measured, others: Sequence[Measured]) -> bool:
    """Whether nobody among `others` is clearly better in every objective."""
    pool = _pooled([one, *others])
    return not any(
        all(better + ERRORS * sd * math.sqrt(1 / one.n + 1 / other.n) < value for better, value, sd in zip(other.values, one.values, pool, strict=True))
        for other in others
    )


def _pooled(all_of_them: Sequence[Measured]) -> list[float]:
    """Pooled standard deviation over seeds, one an objective; 0 where no trial has two seeds."""
    known = [each for each in all_of_them if each.sd is not None]
    freedom = sum(each.n - 1 for each in known)
    if not freedom:
        return [0.0] * len(all_of_them[0].values)
    return [math.sqrt(math.fsum((each.n - 1) * each.sd[k] ** 2 for each in known if each.sd) / freedom) for k in range(len(known[0].values))]
