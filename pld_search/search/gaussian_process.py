"""A Gaussian process over configurations and the progress of their runs: predicts a value and its uncertainty.

A value belongs to one configuration, one stage (a rung, or the end) and one run:

    value = scale(stage) * (offset(stage) + trend(configuration, stage) + luck(run, stage) + noise)

The trends of two configurations covary by a Matern 5/2 kernel with one length a parameter. Trend and luck of two
stages covary by exp(-|log of one share - log of the other| / `memory`). So an early value of a run informs about the
run's own end and about the ends of similar configurations, even when early losses favour other configurations. With
final values only this is the common Gaussian process. Final values of another study are one more stage; the
correlation of its trend with this study's trend is a parameter.

kernel_parameters.py fits its parameters; averaged_process.py averages predictions over the parameters' posterior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh, solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from pld_search.search.kernel_parameters import OFFSET, TINY, Parameters, fitted, matern
from pld_search.search.observed_runs import MOST, Floats, Observed, Whole, scaled, shares_of, stages_of


def expected_improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(best - f, 0)] of normal f with these means and standard deviations (n,); less is better."""
    z = (best - mean) / sd
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(sd * (z * ndtr(z) + density))


class GaussianProcess:
    """A Gaussian process fitted to `seen` (at least two values). `columns` (columns,) holds the parameter of each
    column.

    parameters: taken from an earlier fit with the same stages; None fits them.
    """

    def __init__(self, seen: Observed, columns: Whole | None = None, parameters: Parameters | None = None) -> None:
        self.columns = np.arange(seen.points.shape[1]) if columns is None else columns
        self.shares = shares_of(seen)
        self._seen = seen.bounded(MOST)
        self._stages = stages_of(self._seen, self.shares)
        self._values, self._shift, self._scale = scaled(self._seen, self._stages, len(self.shares))
        self.parameters = fitted(self._seen, self.columns, self.shares) if parameters is None else parameters
        kernel = self._kernel(self._seen, self._stages, self._seen, self._stages)
        self._factor = _factored(kernel + np.diag(self._noise(self._stages)))
        self._weights = cho_solve(self._factor, self._values)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the end, without noise and luck, at each of `points` (m, columns)."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), np.full(len(points), -1))
        mean, spread = self._posterior(ends)
        return mean, np.sqrt(np.maximum(spread, self._scale**2 * TINY))

    def joint(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns mean (m,) and covariance (m, m) of the ends, without noise and luck, at `points` (m, columns)."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), np.full(len(points), -1))
        stages = np.full(len(points), len(self.shares) - 1)
        cross = self._kernel(self._seen, self._stages, ends, stages)
        solved = solve_triangular(self._factor[0], cross, lower=True)
        prior = self._kernel(ends, stages, ends, stages)
        mean = self._shift[stages] + self._scale * (cross.T @ self._weights)
        return np.asarray(mean), np.asarray(self._scale**2 * (prior - solved.T @ solved))

    def draws(self, points: Floats, count: int, seed: int) -> Floats:
        """Draws functions (count, m) from the posterior at `points`."""
        mean, spread = self.joint(points)
        values, vectors = eigh(spread)
        steps = np.random.default_rng(seed).standard_normal((count, len(points)))
        return np.asarray(mean + (steps * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)

    def runs_end(self, points: Floats, runs: Whole) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the values that `runs` (m,) will measure at their ends, with luck and
        noise.
        """
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), runs)
        mean, spread = self._posterior(ends)
        last = np.full(len(points), len(self.shares) - 1)
        known = np.isin(runs, self._seen.runs)
        luck = np.where(known, 0.0, self._luck(last))  # of a known run it is in the posterior
        return mean, np.sqrt(np.maximum(spread + self._scale**2 * (luck + self._noise(last)), self._scale**2 * TINY))

    def looks(self, point: Floats, run: int, shares: Sequence[float]) -> Floats:
        """Returns the standard deviation (k,) of the change in the mean of a configuration's end, when its run is seen
        at each of `shares` (k,), one after the other.
        """
        count = len(shares) + 1
        seen = Observed(
            np.repeat(point[None], count, axis=0),
            np.zeros(count),
            np.array([1.0, *shares]),
            np.array([-1, *[run] * len(shares)]),
        )
        stages = np.searchsorted(self.shares, seen.shares)
        cross = self._kernel(self._seen, self._stages, seen, stages)
        solved = solve_triangular(self._factor[0], cross, lower=True)
        prior = self._kernel(seen, stages, seen, stages)
        spread = prior - solved.T @ solved + np.diag(np.append(0.0, self._noise(stages[1:])))
        moved = []
        for look in range(1, count):
            each = spread[look, look]
            gain = spread[:, look] / each
            moved.append(self._scale * math.sqrt(max(gain[0] ** 2 * each, 0.0)))
            spread = spread - np.outer(gain, spread[look])
        return np.array(moved)

    def _posterior(self, at: Observed) -> tuple[Floats, Floats]:
        stages = np.searchsorted(self.shares, at.shares)
        cross = self._kernel(self._seen, self._stages, at, stages)
        solved = solve_triangular(self._factor[0], cross, lower=True)
        last = np.exp(2 * self.parameters.by_stage[stages])
        before = last * (1.0 + OFFSET) + np.where(np.isin(at.runs, self._seen.runs), self._luck(stages), 0.0)
        mean = self._shift[stages] + self._scale * (cross.T @ self._weights)
        return np.asarray(mean), np.asarray(self._scale**2 * (before - (solved**2).sum(axis=0)))

    def _noise(self, stages: Whole) -> Floats:
        return np.asarray(np.exp(2 * (self.parameters.by_stage[stages] + self.parameters.noise)) + TINY)

    def _luck(self, stages: Whole) -> Floats:
        return np.asarray(np.exp(2 * (self.parameters.by_stage[stages] + self.parameters.luck)))

    def _kernel(self, one: Observed, stages: Whole, other: Observed, others: Whole) -> Floats:
        """Returns the covariance, without noise, between the values of two lists."""
        found, weights = self.parameters, np.exp(-self.parameters.lengths)[self.columns]
        near, _ = matern(cdist(one.points * weights, other.points * weights, "sqeuclidean"))
        logs = np.append(np.log(self.shares), np.zeros(len(found.kin)))
        alike = np.exp(-np.abs(logs[stages][:, None] - logs[others][None]) / math.exp(found.memory))
        alike = alike * found.likeness(stages, others)
        same = (one.runs[:, None] == other.runs[None]) & (one.runs[:, None] >= 0)
        inner = alike * (near + math.exp(2 * found.luck) * same) + OFFSET * (stages[:, None] == others[None])
        return np.asarray(np.exp(found.by_stage[stages])[:, None] * np.exp(found.by_stage[others])[None] * inner)


def _factored(kernel: Floats) -> tuple[Floats, bool]:
    """Returns the Cholesky factor. When rounding makes the kernel not positive definite, adds as little noise to the
    diagonal as needed.
    """
    more = 0.0
    while True:
        try:
            factor, lower = cho_factor(kernel + more * float(np.diag(kernel).mean()) * np.eye(len(kernel)), lower=True)
            return np.asarray(factor), bool(lower)
        except LinAlgError:
            if more > 1.0:
                raise
            more = max(1e-10, 10 * more)
