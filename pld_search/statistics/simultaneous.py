"""Critical values that hold for all rows at once: Dunnett's for differences to one reference, and Holm's procedure.

Model. k differences to one reference share its noise, so two of them have the correlation rho (1/2 if every row has the
same number of runs, blocked or not). They also share one estimate s of the deviation with v degrees of freedom:

    T_i = (sqrt(rho) Z_0 + sqrt(1 - rho) Z_i) / (s / sigma),    v s^2 / sigma^2 ~ chi^2_v

This is the multivariate t distribution of Dunnett (1955), A multiple comparison procedure for comparing several
treatments with a control, JASA 50, 1096-1121; Dunnett (1964), New tables for multiple comparisons with a control,
Biometrics 20, 482-491, has the two-sided tables. Its probabilities are a double integral, over Z_0 and over s. Both
integrands are smooth and vanish at both ends, so the trapezoid rule converges faster than any power of its step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.scipy_functions import brentq, ndtr, stdtrit
from pld_search.statistics.spread import refuse_unless_finite

HALF = 0.5
_NODES = 60
_REACH = 7.0  # the integration range of the shared noise in standard deviations
_TAIL = 30.0  # the range of the deviation ends where its log density is this far below its maximum
_SHARED = np.linspace(-_REACH, _REACH, _NODES)
_SHARED_WEIGHTS = np.exp(-(_SHARED**2) / 2) / np.exp(-(_SHARED**2) / 2).sum()


@lru_cache(maxsize=1024)
def deviations(freedom: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns nodes s / sigma and weights (with sum 1) of the distribution sqrt(chi^2_v / v), v = `freedom` > 0.

    The nodes are evenly spaced in y = ln(s / sigma), with log density v (y - (exp(2 y) - 1) / 2) and a constant.
    """
    if math.isinf(freedom):
        return np.ones(1), np.ones(1)

    def log_density(y: float) -> float:
        return freedom * (y - math.expm1(2 * y) / 2)

    low = brentq(lambda y: log_density(y) + _TAIL, -_TAIL / freedom - 3.0, 0.0)
    high = brentq(lambda y: log_density(y) + _TAIL, 0.0, math.sqrt(2 * _TAIL / freedom) + 3.0)
    grid = np.linspace(low, high, 2 * _NODES)
    weights = np.exp(freedom * (grid - np.expm1(2 * grid) / 2))
    return np.exp(grid), weights / weights.sum()


def rounded_down(freedom: float) -> float:
    """Rounds degrees of freedom down to a grid (tenths, whole numbers from 20 on, at most 1,000).

    Approximate degrees of freedom are real numbers; on a grid their critical values are computed once. Fewer degrees of
    freedom give a larger critical value, so rounding down is conservative.
    """
    if freedom >= 1000:
        return 1000.0
    return math.floor(freedom) if freedom >= 20 else max(0.5, math.floor(freedom * 10 + 1e-9) / 10)


def _refuse(rows: int, freedom: float, alpha: float) -> None:
    if rows < 1 or not freedom > 0 or not 0 < alpha < 1:
        raise ValueError(f"rows >= 1, freedom > 0 and 0 < alpha < 1 are needed, got {rows}, {freedom} and {alpha}")


def _tails(bound: float, freedom: float, rho: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns P(T_i <= bound) and P(T_i >= -bound), given each pair of nodes (deviation, shared noise)."""
    scales, _ = deviations(freedom)
    limit = bound * scales[:, None]
    shift, rest = math.sqrt(rho) * _SHARED, math.sqrt(1 - rho)
    return ndtr((limit - shift) / rest), ndtr((limit + shift) / rest)


def _mean(inside: NDArray[np.float64], freedom: float) -> float:
    return float(deviations(freedom)[1] @ inside @ _SHARED_WEIGHTS)


def p_of_maximum(t: float, rows: int, freedom: float, rho: float = HALF) -> float:
    """Returns P(max |T_i| > |t|) over `rows` differences: the p of one row, adjusted for all of them (single step)."""
    _refuse(rows, freedom, HALF)
    below, above = _tails(abs(t), freedom, rho)
    return min(1.0, max(0.0, 1.0 - _mean((below + above - 1) ** rows, freedom)))


@lru_cache(maxsize=4096)
def critical_value(rows: int, freedom: float, alpha: float = 0.05, rho: float = HALF) -> float:
    """Returns Dunnett's two-sided critical value: P(max |T_i| > c) = alpha over `rows` differences.

    It lies between Student's quantile for one row and Student's quantile for alpha / rows (Bonferroni).
    """
    _refuse(rows, freedom, alpha)
    single = stdtrit(freedom, 1 - alpha / 2)
    if rows == 1:
        return single
    most = stdtrit(freedom, 1 - alpha / (2 * rows))
    return brentq(lambda c: p_of_maximum(c, rows, freedom, rho) - alpha, 0.999 * single, 1.001 * most, rtol=1e-9)


@lru_cache(maxsize=4096)
def equivalence_critical_value(rows: int, freedom: float, alpha: float = 0.05, rho: float = HALF) -> float:
    """Returns the smallest c for which d +- c se inside the margins keeps *all* false verdicts of a family at alpha.

    A row with its true difference at the upper margin is wrongly called equal if T < -c, at the lower margin if T > c.
    A row without a difference is wrongly called better or worse if |T| exceeds `critical_value`. For one row, c is
    Student's quantile of 1 - alpha, which gives the 90 % interval of two one-sided tests (Schuirmann 1987) at alpha =
    5 %. For several rows, Dunnett's two-sided 90 % value would not be enough: rows at opposite margins err in opposite
    tails, and alpha would reach 6 %. So c is the smallest value that holds for every mixture of such rows.
    """
    _refuse(rows, freedom, alpha)
    single = stdtrit(freedom, 1 - alpha)
    if rows == 1:
        return single
    below, above = _tails(critical_value(rows, freedom, alpha, rho), freedom, rho)
    inside = below + above - 1

    def worst_error(c: float) -> float:
        below, above = _tails(c, freedom, rho)
        kept = []
        for marginal in range(rows + 1):
            half = marginal // 2
            kept.append(_mean(inside ** (rows - marginal) * below**half * above ** (marginal - half), freedom))
        return 1.0 - min(kept)

    most = 1.001 * stdtrit(freedom, 1 - alpha / rows)
    if worst_error(most) > alpha:  # only by the rounding of `critical_value`, for nearly uncorrelated differences
        return most
    return brentq(lambda c: worst_error(c) - alpha - 1e-9, 0.999 * single, most, rtol=1e-7)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the adjusted p of each test by Holm (1979), A simple sequentially rejective multiple test procedure, SJS
    6, 65-70.

    With p in rising order, p_(i) becomes the largest of (m - j + 1) p_(j) over j <= i, at most 1. A test whose adjusted
    p is at most alpha is rejected; the probability of any false rejection is at most alpha for any dependence.
    """
    refuse_unless_finite(p_values, "Holm's procedure")
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"Holm's procedure needs probabilities, got {list(p_values)}")
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for position, index in enumerate(order):
        running = max(running, (len(p_values) - position) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted
