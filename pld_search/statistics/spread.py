"""Mean and spread over seeds, and the rule that says when a difference is resolved.

The rule. Let s be the standard deviation over seeds, pooled over every row that has at least two finished seeds, with
v degrees of freedom (the sum of n - 1 over those rows). A difference d of two means over n and m seeds is *resolved*
when

    |d| > t(0.975, v) * s * sqrt(1/n + 1/m)

with Student's t quantile. It is *not resolved* otherwise, also when no row has two seeds and s is unknown, or when s
is 0: seeds that agree exactly (an MCC of 0 from a constant guess) say nothing of the spread. With few seeds v is small
and the quantile large (12.7 at v = 1, 2.8 at 4, 2.2 at 10): a spread known from two runs supports few claims.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
_ROUNDING = 1e-12  # differences that vary by less, as a share of the numbers, do not vary


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over `n` seeds; `sd` is the sample standard deviation (n - 1), None with one seed."""

    mean: float
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value. Raises ValueError for none, and for a value that is not finite."""
        refuse_unless_finite(values, "a spread")
        mean = math.fsum(values) / len(values)
        if len(values) < 2:
            return cls(mean, None, len(values))
        return cls(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)), len(values))


@dataclass(frozen=True, slots=True)
class Pooled:
    """A standard deviation over seeds and its degrees of freedom."""

    sd: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A row's mean less the reference's.

    `half_width` is the least difference that would be resolved, None where the spread is unknown; `paired` the p of the
    paired t test over runs of equal seeds, of rows that were confirmed.
    """

    value: float
    half_width: float | None
    paired: float | None = None

    @property
    def resolved(self) -> bool:
        """Whether the difference exceeds its half-width."""
        return self.half_width is not None and abs(self.value) > self.half_width


def refuse_unless_finite(values: Iterable[float], of: str) -> None:
    """Raises ValueError where `values` is empty or one of them is NaN or infinite; `of` names the quantity."""
    listed = list(values)
    if not listed:
        raise ValueError(f"{of} needs at least one value, got none")
    wrong = [value for value in listed if not math.isfinite(value)]
    if wrong:
        raise ValueError(f"{of} needs finite values, got {wrong[0]}")


def pooled(spreads: Iterable[Spread]) -> Pooled | None:
    """The pooled deviation of the rows with several seeds; None when there is none, or none to see."""
    several = [(spread.sd, spread.n) for spread in spreads if spread.sd is not None]
    freedom = sum(n - 1 for _, n in several)
    squares = math.fsum((n - 1) * sd * sd for sd, n in several)
    return Pooled(math.sqrt(squares / freedom), freedom) if squares > 0 else None


def quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Student's t at (1 + confidence) / 2 for `freedom` > 0 degrees of freedom."""
    from scipy.special import stdtrit  # here, since a search reads spreads and never needs scipy

    return float(stdtrit(freedom, (1 + confidence) / 2))


def difference(row: Spread, reference: Spread, spread: Pooled | None) -> Difference:
    """`row` less `reference` under the module's rule."""
    value = row.mean - reference.mean
    if spread is None:
        return Difference(value, None)
    return Difference(value, quantile(spread.freedom) * spread.sd * math.sqrt(1 / row.n + 1 / reference.n))


def paired_p(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Two-sided p of the paired t test (Student 1908); None with fewer than two pairs, or where all differ alike."""
    from scipy.special import stdtr  # here, as above

    if len(pairs) < 2:
        return None
    found = Spread.of([one - other for one, other in pairs])
    assert found.sd is not None
    if found.sd <= _ROUNDING * max(abs(number) for pair in pairs for number in pair):
        return None
    return float(2 * stdtr(found.n - 1, -abs(found.mean) / (found.sd / math.sqrt(found.n))))
