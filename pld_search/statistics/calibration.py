"""Checks predictions with a stated uncertainty: how often the truth lay in the predicted interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVELS = (0.5, 0.8, 0.95)


@dataclass(frozen=True, slots=True)
class Coverage:
    """For central intervals at `level`: the share that contained the truth, and the 95 % range of this share for n
    calibrated predictions.
    """

    level: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """For `n` predictions: the mean error (truth - mean), the root of the mean squared error, and the coverage."""

    n: int
    bias: float
    error: float
    coverage: tuple[Coverage, ...]


def calibration(means: Sequence[float], sds: Sequence[float], truths: Sequence[float]) -> Calibration | None:
    """Compares normal predictions (mean, sd > 0) with the truths; None without predictions. Predictions of one study
    are not independent, so the stated range is narrower than the true one.

    >>> found = calibration([0.0, 0.0], [1.0, 1.0], [0.5, 3.0])
    >>> found.n, found.bias, [each.share for each in found.coverage]
    (2, 1.75, [0.5, 0.5, 0.5])
    """
    n = len(truths)
    if not n:
        return None
    errors = [truth - mean for truth, mean in zip(truths, means, strict=True)]
    scaled = [abs(error) / sd for error, sd in zip(errors, sds, strict=True)]
    return Calibration(
        n=n,
        bias=math.fsum(errors) / n,
        error=math.sqrt(math.fsum(error**2 for error in errors) / n),
        coverage=tuple(_coverage(level, scaled) for level in LEVELS),
    )


def _coverage(level: float, scaled: Sequence[float]) -> Coverage:
    from scipy.stats import binom, norm  # half a second, and only a search with `learned` is calibrated

    n, reach = len(scaled), float(norm.ppf(0.5 + level / 2))
    low, high = (float(binom.ppf(tail, n, level)) / n for tail in (0.025, 0.975))
    return Coverage(level, sum(each <= reach for each in scaled) / n, low, high)
