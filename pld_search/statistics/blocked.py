"""Differences between systems whose runs share seeds: the runs of one seed are a block.

Model. The value of system i at seed j is y_ij = system_i + seed_j + e_ij with independent e of variance sigma^2. Least
squares gives the differences to one reference. With S systems, n seeds and no missing run, the estimate of a difference
is the difference of two means, its variance is 2 sigma^2 / n, and the residual estimates sigma^2 with (S - 1)(n - 1)
degrees of freedom (Fisher 1935, The Design of Experiments; Searle 1971, Linear Models, chapter 7, for tables with
missing runs).

Three spreads are offered, since not every system has the same sigma:
`fit`    one sigma for all systems (of one architecture);
`pairs`  the spread of a system's own paired differences, n - 1 degrees of freedom (Student 1908);
`welch`  a system with its own sigma beside systems with a common sigma: its spread against the mean of the others, and
         the spread of the others; degrees of freedom by Satterthwaite (1946), An approximate distribution of estimates
         of variance components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.scipy_functions import fdtrc
from pld_search.statistics.spread import refuse_unless_finite

Values = Mapping[str, Mapping[int, float]]
SUSPECTED = 0.025  # a difference has two rows, so one difference in twenty is suspected wrongly
_ROUNDING = 1e-12  # residuals below this share of the values are rounding errors


@dataclass(frozen=True, slots=True)
class Variance:
    """An estimated variance and the degrees of freedom of the estimate (0 if nothing estimates it)."""

    value: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """One system less the reference over `seeds`, and the variance of this difference (None if nothing estimates
    it).
    """

    value: float
    variance: Variance | None
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BlockedFit:
    """Differences of several systems to one reference, by least squares over shared seeds.

    `residual` is sigma^2 with its degrees of freedom. It is None if nothing estimates it: with one seed, or with
    residuals of zero (seeds that agree exactly do not show the spread). `factors` times sigma^2 are the variances of
    the differences.
    """

    reference: str
    differences: dict[str, float]
    factors: dict[str, float]
    residual: Variance | None
    least_correlation: float  # the smallest correlation of two differences, 1/2 without missing runs

    def variance(self, row: str) -> Variance | None:
        """Returns the variance of one difference; None if nothing estimates it."""
        if self.residual is None:
            return None
        return Variance(self.factors[row] * self.residual.value, self.residual.freedom)


def satterthwaite(*parts: Variance) -> Variance:
    """Returns the sum of independent variances, with (sum V)^2 / sum (V^2 / v) degrees of freedom (Satterthwaite
    1946).
    """
    total = math.fsum(part.value for part in parts)
    below = math.fsum(part.value**2 / part.freedom for part in parts if part.value > 0)
    return Variance(total, math.inf if below == 0 else total**2 / below)


def common_seeds(values: Values, rows: Sequence[str]) -> tuple[int, ...]:
    """Returns the seeds that every row has, in rising order."""
    shared = set(values[rows[0]])
    for row in rows[1:]:
        shared &= set(values[row])
    return tuple(sorted(shared))


def table(values: Values, rows: Sequence[str], seeds: Sequence[int]) -> NDArray[np.float64]:
    """Returns the values as an array, one row for each system and one column for each seed, NaN for a missing run.

    Raises ValueError when a value is not finite.
    """
    for row in rows:
        refuse_unless_finite(values[row].values(), row)
    return np.array([[values[row].get(seed, math.nan) for seed in seeds] for row in rows])


def fit(values: Values, rows: Sequence[str], reference: str) -> BlockedFit:
    """Fits least squares over every run of `rows` (at least two rows, the reference among them).

    A seed that only one row has tells nothing about differences. Raises ValueError when a row shares no seed, directly
    or over other rows, with the reference.
    """
    counts = {seed: sum(seed in values[row] for row in rows) for row in rows for seed in values[row]}
    seeds = sorted(seed for seed, count in counts.items() if count > 1)
    numbers = table(values, rows, seeds)
    there = np.isfinite(numbers)
    center = float(numbers[there].mean()) if there.any() else 0.0
    found = np.where(there, numbers - center, 0.0)
    held = there.astype(np.float64)
    runs_of_seed = held.sum(0)
    # normal equations after elimination of the seeds; the reference's row and column are left out
    matrix = np.diag(held.sum(1)) - (held / runs_of_seed) @ held.T
    target = found.sum(1) - held @ (found.sum(0) / runs_of_seed)
    others = [index for index, row in enumerate(rows) if row != reference]
    reduced = matrix[np.ix_(others, others)]
    if np.linalg.matrix_rank(reduced) < len(others):
        raise ValueError(f"these rows have no seeds in common: {', '.join(rows)}")
    inverse = np.linalg.inv(reduced)
    effects = np.zeros(len(rows))
    effects[others] = inverse @ target[others]
    blocks = ((found - effects[:, None]) * held).sum(0) / runs_of_seed
    residuals = (found - effects[:, None] - blocks) * held
    freedom = int(held.sum()) - len(rows) - len(seeds) + 1
    correlations = inverse / np.sqrt(np.outer(np.diag(inverse), np.diag(inverse)))
    return BlockedFit(
        reference,
        {rows[index]: float(effects[index]) for index in others},
        {rows[index]: float(inverse[place, place]) for place, index in enumerate(others)},
        _seen(float((residuals**2).sum()), freedom, np.abs(numbers[there]).max()),
        float(correlations.min()),
    )


def pairs(values: Values, row: str, reference: str) -> Estimate:
    """Returns `row` less `reference` over their common seeds, with the spread of these differences.

    Raises ValueError without a common seed.
    """
    return _contrast(values, row, reference, [reference])


def welch(values: Values, row: str, reference: str, alike: Sequence[str]) -> Estimate:
    """Returns `row` less `reference` where one of the two has its own sigma and the rows `alike` share another sigma.

    Let i be the row with its own spread (`row`, or `reference` where `row` is among `alike`), and m the number of
    `alike`. Over n common seeds, y_ij less the mean of `alike` has variance sigma_i^2 + sigma^2 / m, estimated with
    n - 1 degrees of freedom; the residual of `alike` estimates sigma^2 with (m - 1)(n - 1). The two estimates are
    independent, and

        var(difference) = (sigma_i^2 + sigma^2 / m) / n + (1 - 1/m) sigma^2 / n.
    """
    return _contrast(values, row, reference, alike)


def _contrast(values: Values, row: str, reference: str, alike: Sequence[str]) -> Estimate:
    rows = list(dict.fromkeys([row, reference, *alike]))
    seeds = common_seeds(values, rows)
    if not seeds:
        raise ValueError(f"{row} and {reference} have no seeds in common")
    numbers = dict(zip(rows, table(values, rows, seeds), strict=True))
    difference = float((numbers[row] - numbers[reference]).mean())
    n, m = len(seeds), len(alike)
    if n < 2:
        return Estimate(difference, None, seeds)
    largest = max(np.abs(numbers[one]).max() for one in (row, reference))
    group = np.array([numbers[one] for one in alike])
    own = numbers[row if row not in alike else reference] - group.mean(0)
    first = _seen(float(((own - own.mean()) ** 2).sum()), n - 1, largest)
    if first is None or m == 1:
        return Estimate(difference, None if first is None else Variance(first.value / n, n - 1), seeds)
    residuals = group - group.mean(0) - group.mean(1, keepdims=True) + group.mean()
    second = float((residuals**2).sum()) / ((m - 1) * (n - 1))
    parts = Variance(first.value / n, n - 1), Variance((1 - 1 / m) * second / n, (m - 1) * (n - 1))
    return Estimate(difference, satterthwaite(*parts), seeds)


def _seen(squares: float, freedom: int, largest: float) -> Variance | None:
    """Returns the mean square; None without a degree of freedom, or if the squares are rounding errors."""
    if freedom < 1 or squares <= freedom * (_ROUNDING * float(largest)) ** 2:
        return None
    return Variance(squares / freedom, freedom)


def wider_rows(values: Values, rows: Sequence[str], level: float = SUSPECTED) -> frozenset[str]:
    """Returns the rows whose residuals vary more than the residuals of the others, as far as so few runs can tell.

    For each row, the variance of its differences to the mean of the others is compared with the others' residual by an
    F test with n - 1 and (m - 1)(n - 1) degrees of freedom, m the number of other rows, over common seeds. Each row is
    tested at `level`. Two rows cannot be distinguished, so at least three are needed.
    """
    seeds = common_seeds(values, rows)
    if len(rows) < 3 or len(seeds) < 2:
        return frozenset()
    numbers = table(values, rows, seeds)
    n, m = len(seeds), len(rows) - 1
    sums = numbers.sum(0)
    residuals = numbers - numbers.mean(0) - numbers.mean(1, keepdims=True) + numbers.mean()
    own = (numbers - (sums - numbers) / m).var(1, ddof=1) * m / (m + 1)
    others = ((residuals**2).sum() - (n - 1) * own) / ((m - 1) * (n - 1))
    largest = float(np.abs(numbers).max())
    tiny = (_ROUNDING * largest) ** 2
    ratio = np.where(own > tiny, own / np.maximum(others, tiny + 1e-300), 0.0)
    p_values = fdtrc(n - 1, (m - 1) * (n - 1), ratio)
    return frozenset(row for row, p in zip(rows, p_values, strict=True) if p <= level)
