"""A Gaussian process over configurations: what is expected of one that was not trained, and how surely.

scikit-learn's regressor with a Matern 5/2 kernel, one length a column, and noise. Its parameters are the mode of the
posterior, not of the likelihood alone: with five points and ten columns the likelihood has many optima. Lengths have
the prior of Hvarfner et al. (2024, arXiv:2402.02229), which grows with the square root of the number of columns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

Floats = NDArray[np.float64]
MOST = 400
"""Points a fit uses at most: the best half and the newest half, so that a question costs the same after any number."""
_FITTED = 150
"""Points the kernel's parameters are fitted to at most."""
_ITERATIONS = 40
_FAR = 3.0
"""Values are cut off at this many times the distance from the best to the median above the best: a diverged run would
flatten everything else.
"""


def expected_improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(best - f, 0)] of normal f with these means and deviations (n,); less is better."""
    z = (best - mean) / sd
    return np.asarray(sd * (z * norm.cdf(z) + norm.pdf(z)))


def kept(values: Floats, most: int = MOST) -> NDArray[np.intp]:
    """Indices, rising, of the points a fit uses: all, or the best half and the newest half of `most`."""
    if len(values) <= most:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: most // 2]
    newest = np.setdiff1d(np.arange(len(values)), best)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, newest]))


class GaussianProcess:
    """Fitted to `points` (n, columns) with `values` (n,), less is better; n is at least 2."""

    def __init__(self, points: Floats, values: Floats) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor

        used = kept(values)
        points, values = points[used], _cut_off(values[used])
        self._shift, self._scale = float(values.mean()), float(values.std()) or 1.0
        scaled = (values - self._shift) / self._scale
        few = np.unique(np.linspace(0, len(points) - 1, min(_FITTED, len(points))).astype(int))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a parameter at its bound is no news
            first = GaussianProcessRegressor(_kernel(points.shape[1]), alpha=1e-8, optimizer=_mode(points.shape[1]))
            first.fit(points[few], scaled[few])
            self._model: Any = GaussianProcessRegressor(first.kernel_, alpha=1e-8, optimizer=None)
            self._model.fit(points, scaled)
        self._noise = float(first.kernel_.k2.noise_level)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the value without noise at each of `points` (m, columns)."""
        mean, sd = self._model.predict(points, return_std=True)
        free = np.sqrt(np.maximum(sd**2 - self._noise, 1e-12))
        return np.asarray(self._shift + self._scale * mean), np.asarray(self._scale * free)


def _cut_off(values: Floats) -> Floats:
    best, median = float(values.min()), float(np.median(values))
    return np.minimum(values, best + _FAR * (median - best)) if median > best else values


def _kernel(columns: int) -> Any:
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    length = math.sqrt(columns) * math.exp(math.sqrt(2) - 1.5)
    return ConstantKernel(1.0, (1e-2, 1e2)) * Matern(np.full(columns, length), (1e-2, 1e3), nu=2.5) + WhiteKernel(
        1e-2, (1e-6, 1.0)
    )


def _mode(columns: int) -> Callable[..., tuple[Floats, float]]:
    """scikit-learn's optimizer, with normal priors on the logarithms: of the variance, of each length, of the noise."""
    centre = np.array([0.0, *[math.sqrt(2) - 1.5 + math.log(columns) / 2] * columns, math.log(1e-2)])
    width = np.array([1.0, *[math.sqrt(3) / 1.5] * columns, 1.5])

    def optimizer(objective: Callable[..., Any], start: Floats, bounds: Floats) -> tuple[Floats, float]:
        def penalized(theta: Floats) -> tuple[float, Floats]:
            value, slope = objective(theta)
            away = (theta - centre) / width
            return float(value) + 0.5 * float(away @ away), np.asarray(slope + away / width)

        found = minimize(penalized, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
        return np.asarray(found.x), float(found.fun)

    return optimizer
