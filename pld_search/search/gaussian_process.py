"""A Gaussian process over configurations and the progress of their runs: what is expected, and how surely.

A value is seen of one configuration, at one stage (a rung, or the end), of one run:

    value = scale(stage) * (offset(stage) + trend(configuration, stage) + luck(run, stage) + noise)

Trends of two configurations resemble each other by a Matern 5/2 kernel, one length a parameter; trend and luck of two
stages by exp(-|log of one share - log of the other| / `memory`). So a run that is seen early tells of its own end and
of its neighbours' ends, whatever early losses reward. With the end alone this is the common Gaussian process.

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
"""Values a fit uses at most: those of the best half and the newest half of the runs, so that a question costs the same
after any number.
"""
_FITTED = 120
"""Values the kernel's parameters are fitted to at most."""
_ITERATIONS = 40
_FAR = 8.0
"""Values are cut off at this many times the distance from the best to the median above the best: a diverged run would
flatten everything else.
"""
_OFFSET = 4.0
"""Variance of a stage's offset, in units of its scale: the runs that have ended are those that promised much."""
_ROOT = math.sqrt(5.0)
_TINY = 1e-8


def expected_improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """E[max(best - f, 0)] of normal f with these means and deviations (n,); less is better."""
    z = (best - mean) / sd
    return np.asarray(sd * (z * norm.cdf(z) + norm.pdf(z)))


def kept(values: Floats, most: int = MOST) -> Whole:
    """Indices, rising, of the points a fit uses: all, or the best half and the newest half of `most`."""
    if len(values) <= most:
        return np.arange(len(values))
    best = np.argsort(values, kind="stable")[: most // 2]
    newest = np.setdiff1d(np.arange(len(values)), best)[-(most - len(best)) :]
    return np.sort(np.concatenate([best, newest]))


@dataclass(frozen=True, slots=True)
class Observed:
    """Values (n,), less is better, of `points` (n, columns), at shares of a run in (0, 1] (1: its end), by run (n,)."""

    points: Floats
    values: Floats
    shares: Floats
    runs: Whole

    @classmethod
    def ends(cls, points: Floats, values: Floats, first_run: int = 0) -> Observed:
        """Each value the end of a run of its own, counted from `first_run`."""
        return cls(points, values, np.ones(len(values)), first_run + np.arange(len(values)))

    def and_also(self, other: Observed) -> Observed:
        """Both, one after the other."""
        return Observed(
            np.vstack([self.points, other.points]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.runs, other.runs]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def of(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Observed:
        """Some of it."""
        return Observed(self.points[chosen], self.values[chosen], self.shares[chosen], self.runs[chosen])

    def bounded(self, most: int) -> Observed:
        """All, or the values of the best and the newest runs, so many that they are at most `most` values."""
        if len(self) <= most:
            return self
        _, first, counts = np.unique(self.runs, return_index=True, return_counts=True)
        order = np.argsort(first)
        ranks = np.array([_rank(self, self.runs[first[each]]) for each in order])
        runs = self.runs[first[order]][kept(ranks, max(2, int(most / counts.mean())))]
        return self.of(np.flatnonzero(np.isin(self.runs, runs))[:most])


def _rank(seen: Observed, run: int) -> float:
    """How a run stands among all at its own latest stage: 0 the best, 1 the worst."""
    own = seen.runs == run
    share = seen.shares[own].max()
    there = seen.values[seen.shares == share]
    value = float(seen.values[own & (seen.shares == share)].min())
    return float((there < value).mean()) - float(share) * _TINY


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of the kernel, as logarithms: one scale a stage, one length a parameter; noise and luck in units of the scale."""

    scales: Floats
    lengths: Floats
    noise: float
    memory: float
    luck: float

    @classmethod
    def of(cls, theta: Floats, stages: int) -> Parameters:
        """From one vector: scales, lengths, noise, and with several stages memory and luck."""
        if stages == 1:
            return cls(theta[:1], theta[1:-1], float(theta[-1]), 0.0, -math.inf)
        return cls(theta[:stages], theta[stages:-3], *(float(each) for each in theta[-3:]))


def _priors(stages: int, parameters: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Normal priors on the logarithms: centres, widths; and bounds."""
    length = math.sqrt(2) - 1.5 + math.log(parameters) / 2
    rest = [(math.log(0.1), 0.75, math.log(1e-3), 0.0)]
    if stages > 1:
        rest += [(math.log(2.0), 0.75, math.log(0.2), math.log(20.0)), (math.log(0.2), 0.75, math.log(1e-2), 0.0)]
    each = [(0.0, 1.2, -3.0, 3.0)] * stages + [(length, math.sqrt(3) / 1.5, -3.0, 7.0)] * parameters + rest
    return tuple(np.array(column) for column in zip(*each, strict=True))  # type: ignore[return-value]


class GaussianProcess:
    """Fitted to what was `seen`, at least two values; `columns` (columns,) says which parameter a column belongs to.

    parameters: of an earlier fit with the same stages; None fits them.
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
        """Mean and standard deviation of the end without noise and luck at each of `points` (m, columns)."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), np.full(len(points), -1))
        mean, spread = self._posterior(ends)
        return mean, np.sqrt(np.maximum(spread, self._scale**2 * _TINY))

    def joint(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean (m,) and covariance (m, m) of the ends without noise and luck at `points` (m, columns)."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), np.full(len(points), -1))
        stages = np.full(len(points), len(self.shares) - 1)
        cross = self._kernel(self._seen, self._stages, ends, stages)
        solved = solve_triangular(self._factor[0], cross, lower=True)
        prior = self._kernel(ends, stages, ends, stages)
        mean = self._shift[stages] + self._scale * (cross.T @ self._weights)
        return np.asarray(mean), np.asarray(self._scale**2 * (prior - solved.T @ solved))

    def draws(self, points: Floats, count: int, seed: int) -> Floats:
        """Functions (count, m) that the data leave possible, at `points`."""
        mean, spread = self.joint(points)
        values, vectors = eigh(spread)
        steps = np.random.default_rng(seed).standard_normal((count, len(points)))
        return np.asarray(mean + (steps * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)

    def runs_end(self, points: Floats, runs: Whole) -> tuple[Floats, Floats]:
        """Mean and standard deviation of what these `runs` (m,) will measure at their ends, luck and noise included."""
        ends = Observed(points, np.zeros(len(points)), np.ones(len(points)), runs)
        mean, spread = self._posterior(ends)
        last = np.full(len(points), len(self.shares) - 1)
        known = np.isin(runs, self._seen.runs)
        luck = np.where(known, 0.0, self._luck(last))  # of a known run it is in the posterior
        return mean, np.sqrt(np.maximum(spread + self._scale**2 * (luck + self._noise(last)), self._scale**2 * _TINY))

    def looks(self, point: Floats, run: int, shares: Sequence[float]) -> Floats:
        """By how much (standard deviation) the mean of a configuration's end will move when its run is seen at each of
        `shares` (k,), one after the other: (k,).
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
        """Covariance, without noise, of what is seen in two lists."""
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
    """The mode of the parameters' posterior, from a fixed start: a function of what was seen alone, and where that is
    much of its best and its newest part.
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
    """Minus the logarithm of the posterior of the parameters, and its slope."""

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
    """Its Cholesky factor; where rounding left it short of positive definite, with as little more noise as it takes."""
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
    """Matern 5/2 of squared distances, and by how much it falls for each unit of the logarithm of a distance, over the
    square of that distance.
    """
    distance = np.sqrt(squares)
    decay = np.exp(-_ROOT * distance)
    return (1 + _ROOT * distance + 5 / 3 * squares) * decay, 5 / 3 * (1 + _ROOT * distance) * decay


def _standards(seen: Observed, stages: Whole, count: int) -> tuple[Floats, float]:
    """A mean for each stage, and one deviation for all: that of the stage with the most values."""
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
