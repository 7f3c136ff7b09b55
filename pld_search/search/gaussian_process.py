"""A Gaussian process over configurations and the progress of their runs: predicts a value and its uncertainty.

A value belongs to one configuration, one stage (a rung, or the end) and one run:

    value = scale(stage) * (offset(stage) + trend(configuration, stage) + luck(run, stage) + noise)

The trends of two configurations covary by a Matern 5/2 kernel with one length a parameter. Trend and luck of two
stages covary by exp(-|log of one share - log of the other| / `memory`). So an early value of a run informs about the
run's own end and about the ends of similar configurations, even when early losses favour other configurations. With
values of the end alone this is the common Gaussian process.

The parameters are the mode of the posterior, not of the likelihood alone: with five points the likelihood has many
optima. Lengths have the prior of Hvarfner et al. (2024, arXiv:2402.02229), which grows with the square root of the
number of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import norm

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]
MOST = 400
"""Maximum number of values in a fit: values of the best half and of the newest half of the runs. The cost of a question
does not grow with the number of runs.
"""
_FITTED = 120
"""Maximum number of values to which the kernel's parameters are fitted."""
_ITERATIONS = 40
_FAR = 8.0
"""Values are clipped at this many times the distance from the best value to the median, above the best. Without the
clip a diverged run would flatten all other differences.
"""
_OFFSET = 4.0
"""Variance of a stage's offset, in units of its scale. Runs that reach the end were selected as promising, so the
offsets of stages differ.
"""
_ROOT = math.sqrt(5.0)
_TINY = 1e-8


def expected_improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(best - f, 0)] of normal f with these means and standard deviations (n,); less is better."""
    z = (best - mean) / sd
    return np.asarray(sd * (z * norm.cdf(z) + norm.pdf(z)))


def kept(values: Floats, most: int = MOST) -> Whole:
    """Returns rising indices of the points that a fit uses: all, or the best half and the newest half of `most`."""
    if len(values) <= most:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: most // 2]
    newest = np.setdiff1d(np.arange(len(values)), best)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, newest]))


@dataclass(frozen=True, slots=True)
class Observed:
    """Values (n,), less is better, at `points` (n, columns), at shares of a run in (0, 1] (1: the end), by run (n,)."""

    points: Floats
    values: Floats
    shares: Floats
    runs: Whole

    @classmethod
    def ends(cls, points: Floats, values: Floats, first_run: int = 0) -> Observed:
        """Treats each value as the end of a separate run; runs are numbered from `first_run`."""
        return cls(points, values, np.ones(len(values)), first_run + np.arange(len(values)))

    def and_also(self, other: Observed) -> Observed:
        """Concatenates both."""
        return Observed(
            np.vstack([self.points, other.points]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.runs, other.runs]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def of(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Observed:
        """Selects some of the values."""
        return Observed(self.points[chosen], self.values[chosen], self.shares[chosen], self.runs[chosen])

    def bounded(self, most: int) -> Observed:
        """Returns all values, or the values of the best and the newest runs, at most `most` values."""
        if len(self) <= most:
            return self
        _, first, counts = np.unique(self.runs, return_index=True, return_counts=True)
        order = np.argsort(first)
        ranks = np.array([_rank(self, self.runs[first[each]]) for each in order])
        runs = self.runs[first[order]][kept(ranks, max(2, int(most / counts.mean())))]
        return self.of(np.flatnonzero(np.isin(self.runs, runs))[:most])


def _rank(seen: Observed, run: int) -> float:
    """Returns the rank of a run among all runs at its own latest stage: 0 the best, 1 the worst."""
    own = seen.runs == run
    share = seen.shares[own].max()
    there = seen.values[seen.shares == share]
    value = float(seen.values[own & (seen.shares == share)].min())
    return float((there < value).mean()) - float(share) * _TINY


@dataclass(frozen=True, slots=True)
class Parameters:
    """The kernel's parameters as logarithms: one scale a stage, one length a parameter; noise and luck in units of the
    scale.
    """

    scales: Floats
    lengths: Floats
    noise: float
    memory: float
    luck: float

    @classmethod
    def of(cls, theta: Floats, stages: int) -> Parameters:
        """Splits one vector into scales, lengths and noise; with several stages also memory and luck."""
        if stages == 1:
            return cls(theta[:1], theta[1:-1], float(theta[-1]), 0.0, -math.inf)
        return cls(theta[:stages], theta[stages:-3], *(float(each) for each in theta[-3:]))


def _priors(stages: int, parameters: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Returns normal priors on the logarithms: centres, widths, lower bounds, upper bounds."""
    length = math.sqrt(2) - 1.5 + math.log(parameters) / 2
    rest = [(math.log(0.1), 0.75, math.log(1e-3), 0.0)]
    if stages > 1:
        rest += [(math.log(2.0), 0.75, math.log(0.2), math.log(20.0)), (math.log(0.2), 0.75, math.log(1e-2), 0.0)]
    each = [(0.0, 1.2, -3.0, 3.0)] * stages + [(length, math.sqrt(3) / 1.5, -3.0, 7.0)] * parameters + rest
    return tuple(np.array(column) for column in zip(*each, strict=True))  # type: ignore[return-value]


class GaussianProcess:
    """A Gaussian process fitted to `seen` (at least two values). `columns` (columns,) holds the parameter of each
    column.

    parameters: taken from an earlier fit with the same stages; None fits them.
    """

    def __init__(self, seen: Observed, columns: Whole | None = None, parameters: Parameters | None = None) -> None:
        self.columns = np.arange(seen.points.shape[1]) if columns is None else columns
        self.shares = np.unique(np.append(seen.shares, 1.0))
        self._seen = seen.bounded(MOST)
        self._stages = np.searchsorted(self.shares, self._seen.shares)
        self._shift, self._scale = _standards(self._seen, self._stages, len(self.shares))
        self.parameters = self._fitted() if parameters is None else parameters
        kernel = self._kernel(self._seen, self._stages, self._seen, self._stages)
        self._factor = _factored(kernel + np.diag(self._noise(self._stages)))
        self._weights = cho_solve(self._factor, self._scaled())

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns mean and standard deviation of the end, without noise and luck, at each of `points` (m, columns)."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), np.full(len(points), -1))
        mean, spread = self._posterior(ends)
        return mean, np.sqrt(np.maximum(spread, self._scale**2 * _TINY))

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
        luck = np.where(known, 0.0, self._luck(last))  # the posterior already contains the luck of a known run
        return mean, np.sqrt(np.maximum(spread + self._scale**2 * (luck + self._noise(last)), self._scale**2 * _TINY))

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
        last = np.exp(2 * self.parameters.scales[stages])
        before = last * (1.0 + _OFFSET) + np.where(np.isin(at.runs, self._seen.runs), self._luck(stages), 0.0)
        mean = self._shift[stages] + self._scale * (cross.T @ self._weights)
        return np.asarray(mean), np.asarray(self._scale**2 * (before - (solved**2).sum(axis=0)))

    def _scaled(self) -> Floats:
        return np.asarray((_cut_off(self._seen, self._stages) - self._shift[self._stages]) / self._scale)

    def _noise(self, stages: Whole) -> Floats:
        return np.asarray(np.exp(2 * (self.parameters.scales[stages] + self.parameters.noise)) + _TINY)

    def _luck(self, stages: Whole) -> Floats:
        return np.asarray(np.exp(2 * (self.parameters.scales[stages] + self.parameters.luck)))

    def _kernel(self, one: Observed, stages: Whole, other: Observed, others: Whole) -> Floats:
        """Returns the covariance, without noise, between the values of two lists."""
        found, weights = self.parameters, np.exp(-self.parameters.lengths)[self.columns]
        near, _ = _matern(cdist(one.points * weights, other.points * weights, "sqeuclidean"))
        logs = np.log(self.shares)
        alike = np.exp(-np.abs(logs[stages][:, None] - logs[others][None]) / math.exp(found.memory))
        same = (one.runs[:, None] == other.runs[None]) & (one.runs[:, None] >= 0)
        inner = alike * (near + math.exp(2 * found.luck) * same) + _OFFSET * (stages[:, None] == others[None])
        return np.asarray(np.exp(found.scales[stages])[:, None] * np.exp(found.scales[others])[None] * inner)

    def _fitted(self) -> Parameters:
        return fitted(self._seen, self.columns, self.shares)


def fitted(seen: Observed, columns: Whole, shares: Floats) -> Parameters:
    """Returns the mode of the parameters' posterior, from a fixed start: a function of the seen values alone. Many
    values are reduced to the best and the newest part.
    """
    seen = seen.bounded(_FITTED)
    stages = np.searchsorted(shares, seen.shares)
    shift, scale = _standards(seen, stages, len(shares))
    objective = _Objective(seen, stages, (_cut_off(seen, stages) - shift[stages]) / scale, columns, np.log(shares))
    centre, _, low, high = _priors(len(shares), int(columns.max()) + 1)
    options = {"maxiter": _ITERATIONS}
    bounds = list(zip(low, high, strict=True))
    found = minimize(objective, centre, jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    return Parameters.of(np.asarray(found.x), len(shares))


class _Objective:
    """Minus the logarithm of the posterior of the parameters, and its gradient."""

    def __init__(self, seen: Observed, stages: Whole, values: Floats, columns: Whole, logs: Floats) -> None:
        self._values, self._stages, self._count = values, stages, len(logs)
        apart = [
            cdist(seen.points[:, columns == each], seen.points[:, columns == each], "sqeuclidean")
            for each in range(int(columns.max()) + 1)
        ]
        self._apart = np.array(apart)
        self._steps = np.abs(logs[stages][:, None] - logs[stages][None])
        self._same = (seen.runs[:, None] == seen.runs[None]).astype(float)
        self._stage = (stages[:, None] == stages[None]).astype(float)
        self._centre, self._width, *_ = _priors(self._count, len(apart))

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        found = Parameters.of(theta, self._count)
        scales = np.exp(found.scales)[self._stages]
        both, alike = scales[:, None] * scales[None], np.exp(-self._steps / math.exp(found.memory))
        squares = self._apart * np.exp(-2 * found.lengths)[:, None, None]
        near, slope = _matern(squares.sum(axis=0))
        luck, noise = math.exp(2 * found.luck), math.exp(2 * found.noise) * scales**2
        trend = both * alike * (near + luck * self._same)
        kernel = trend + _OFFSET * both * self._stage + np.diag(noise + _TINY)
        away = (theta - self._centre) / self._width
        try:
            factor = cho_factor(kernel, lower=True)
        except LinAlgError:
            return 1e10, np.zeros_like(theta)
        weights = cho_solve(factor, self._values)
        change = cho_solve(factor, np.eye(len(weights))) - np.outer(weights, weights)
        by_value = (change * kernel).sum(axis=1)
        parts = [np.bincount(self._stages, by_value, self._count)]
        parts.append(0.5 * np.einsum("ij,pij->p", change * both * alike * slope, squares))
        parts.append(np.array([float(np.diag(change) @ noise)]))
        if self._count > 1:
            memory = 0.5 * float((change * trend * self._steps).sum()) / math.exp(found.memory)
            parts.append(np.array([memory, luck * float((change * both * alike * self._same).sum())]))
        value = 0.5 * float(self._values @ weights) + float(np.log(np.diag(factor[0])).sum())
        return value + 0.5 * float(away @ away), np.concatenate(parts) + away / self._width


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


def _matern(squares: Floats) -> tuple[Floats, Floats]:
    """Returns the Matern 5/2 kernel of squared distances, and its decrease for each unit of the logarithm of a
    distance, divided by the squared distance.
    """
    distance = np.sqrt(squares)
    decay = np.exp(-_ROOT * distance)
    return (1 + _ROOT * distance + 5 / 3 * squares) * decay, 5 / 3 * (1 + _ROOT * distance) * decay


def _standards(seen: Observed, stages: Whole, count: int) -> tuple[Floats, float]:
    """Returns a mean for each stage, and one deviation for all stages: the deviation of the stage with the most
    values.
    """
    values = _cut_off(seen, stages)
    known = [values[stages == stage] for stage in range(count)]
    last = next(each for each in reversed(known) if len(each))
    shift = np.array([each.mean() if len(each) else last.mean() for each in known])
    most = max(known, key=len)
    return shift, float(most.std()) or 1.0


def _cut_off(seen: Observed, stages: Whole) -> Floats:
    values = seen.values.copy()
    for stage in np.unique(stages):
        own = values[stages == stage]
        best, median = float(own.min()), float(np.median(own))
        if median > best:
            values[stages == stage] = np.minimum(own, best + _FAR * (median - best))
    return values
