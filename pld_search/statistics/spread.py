"""Mean and spread over seeds, the pooled deviation of several rows, and Student's quantile."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pld_search.statistics.scipy_functions import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over `n` seeds; `sd` is the sample standard deviation (n - 1), None with one seed."""

    mean: float
    sd: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Returns the spread of at least one value. Raises ValueError without a value, and for one that is not
        finite.
        """
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


def refuse_unless_finite(values: Iterable[float], of: str) -> None:
    """Raises ValueError when `values` is empty or has a NaN or infinite value; `of` names the quantity."""
    listed = list(values)
    if not listed:
        raise ValueError(f"{of} needs at least one value, got none")
    wrong = [value for value in listed if not math.isfinite(value)]
    if wrong:
        raise ValueError(f"{of} needs finite values, got {wrong[0]}")


def pooled(spreads: Iterable[Spread]) -> Pooled | None:
    """Returns the pooled deviation of the rows with several seeds; None if there is no such row, or it is zero."""
    several = [(spread.sd, spread.n) for spread in spreads if spread.sd is not None]
    freedom = sum(n - 1 for _, n in several)
    squares = math.fsum((n - 1) * sd * sd for sd, n in several)
    return Pooled(math.sqrt(squares / freedom), freedom) if squares > 0 else None


def quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Returns Student's t at (1 + confidence) / 2 for `freedom` > 0 degrees of freedom."""
    return stdtrit(freedom, (1 + confidence) / 2)
