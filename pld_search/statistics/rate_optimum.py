"""The best learning rate of a row: the vertex of a quadratic in ln(rate), fitted to every value.

The smallest of several single values is biased (`selection.bias_of_best`), and so is its rate. Near its optimum a loss
is a parabola in ln(rate), so all values estimate the vertex together:

    y = a + b x + c x^2,    x = ln(rate),    vertex exp(-b / (2 c)) where c > 0,

by least squares (response surfaces: Box and Wilson 1951, JRSS B 13).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pld_search.statistics.spread import refuse_unless_finite

Edge = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The chosen rate (three significant digits, inside the tried rates), and the fitted value there.

    `edge` names the end of the tried rates at which it lies; None inside. At an edge the true optimum may lie beyond,
    and more rates on that side would show it.
    """

    rate: float
    value: float
    edge: Edge | None


def best_rate(rates: Sequence[float], values: Sequence[float], less_is_better: bool = True) -> Optimum:
    """Returns the optimum over `rates` > 0 with one value each. A rate may appear several times, with one value for
    each seed.

    Two different rates are fitted by a line and one by a constant, so their optimum always lies at an edge. Raises
    ValueError for different lengths, rates that are not positive and values that are not finite.
    """
    refuse_unless_finite(values, "a tuned value")
    refuse_unless_finite(rates, "a learning rate")
    if len(rates) != len(values) or min(rates) <= 0:
        raise ValueError(f"positive rates with one value each are needed, got {list(rates)} and {len(values)} values")
    tried = sorted(set(rates))
    low, high = math.log(tried[0]), math.log(tried[-1])
    middle = (low + high) / 2
    sign = 1.0 if less_is_better else -1.0
    x = np.log(np.array(rates)) - middle
    powers = np.vander(x, min(3, len(tried)), increasing=True)
    solved, *_ = np.linalg.lstsq(powers, sign * np.array(values), rcond=None)
    fitted = np.polynomial.Polynomial(solved)
    ends = [low - middle, high - middle]
    slope, curvature = (*solved[1:], 0.0, 0.0)[:2]
    if len(tried) > 2 and curvature > 0 and ends[0] < -slope / (2 * curvature) < ends[1]:
        vertex = float(-slope / (2 * curvature))
        return Optimum(_three_digits(math.exp(vertex + middle), tried), sign * float(fitted(vertex)), None)
    at_low = bool(fitted(ends[0]) <= fitted(ends[1]))
    return Optimum(
        tried[0 if at_low else -1], sign * float(fitted(ends[0 if at_low else 1])), "low" if at_low else "high"
    )


def _three_digits(rate: float, tried: Sequence[float]) -> float:
    """Rounds a rate to three significant digits, but never outside the tried rates."""
    return min(max(float(f"{rate:.3g}"), tried[0]), tried[-1])
