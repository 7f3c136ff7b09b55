"""Differences between rows over blocks of seeds, Holm's procedure over a family of them, and verdicts in the words of
DESIGN.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr

from pld_search.statistics.blocked import Values, Variance, fit, pairs
from pld_search.statistics.simultaneous import holm
from pld_search.statistics.spread import quantile

MARGIN = 0.01
"""Nats within which two rows are called equal."""
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Contrast:
    """The contrast `first` minus `second`.

    pooled: the rows whose common residual is its spread; empty: the spread of its own pairs.
    """

    first: str
    second: str
    pooled: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name as the page writes it."""
        return f"{self.first} - {self.second}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A contrast with its estimate in nats, standard error, degrees of freedom and tests.

    adjusted: Holm's p over the family. interval, narrow: simultaneous by Bonferroni, at 95 % and at 90 %.
    """

    name: str
    difference: float
    error: float
    freedom: float
    p: float
    adjusted: float
    interval: tuple[float, float]
    narrow: tuple[float, float]

    @property
    def verdict(self) -> str:
        """`equal within 0.01`, `better`, `worse` (less is better) or `undecided`. When the interval disagrees with
        Holm's procedure, the procedure decides.
        """
        if self.narrow[0] > -MARGIN and self.narrow[1] < MARGIN:
            return f"equal within {MARGIN}"
        if self.adjusted > ALPHA:
            return "undecided"
        return "better" if self.difference < 0 else "worse"

    @property
    def disagree(self) -> bool:
        """Whether Holm's procedure and the interval disagree on a difference from 0."""
        return (self.adjusted <= ALPHA) != (self.interval[0] > 0 or self.interval[1] < 0)


def judge(values: Values, contrasts: Sequence[Contrast]) -> list[Judged]:
    """Judges the contrasts as one family, in their order. `values`: row -> seed -> loss in nats.

    Raises ValueError when a contrast has no spread: fewer than two common seeds, or differences that do not vary.
    """
    estimates = [_estimate(values, contrast) for contrast in contrasts]
    p_values = [2 * float(stdtr(spread.freedom, -abs(value) / math.sqrt(spread.value))) for value, spread in estimates]
    judged = []
    for contrast, (value, spread), p, adjusted in zip(contrasts, estimates, p_values, holm(p_values), strict=True):
        error, count = math.sqrt(spread.value), len(contrasts)
        half = error * quantile(spread.freedom, 1 - ALPHA / count)
        inner = error * quantile(spread.freedom, 1 - 2 * ALPHA / count)
        judged.append(
            Judged(contrast.name, value, error, spread.freedom, p, adjusted, (value - half, value + half), (value - inner, value + inner))
        )  # fmt: skip
    return judged


def _estimate(values: Values, contrast: Contrast) -> tuple[float, Variance]:
    if contrast.pooled:
        fitted = fit(values, contrast.pooled, contrast.second)
        value, spread = fitted.differences[contrast.first], fitted.variance(contrast.first)
    else:
        own = pairs(values, contrast.first, contrast.second)
        value, spread = own.value, own.variance
    if spread is None:
        raise ValueError(f"{contrast.name}: nothing estimates its spread")
    return value, spread
