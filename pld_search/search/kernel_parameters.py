"""The parameters of a process's kernel: their priors, the mode of their posterior, and draws from it.

With five points the likelihood has many optima, so the mode of the posterior is used. Lengths have the prior of
Hvarfner et al. (2024, arXiv:2402.02229), which grows with the square root of the number of parameters. With two or
three final values the mode underestimates their spread; `drawn` samples the posterior instead, and predictions are
averaged over the samples.

Values of another study are used only while they help: each own value is predicted from all other values, with and
without the other study, and the product of the predictive densities has to be larger by a factor (leave-one-out
cross-validation, Rasmussen & Williams 2006, section 5.4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from pld_search.search.observed_runs import Floats, Observed, Whole, scaled, stages_of

FITTED = 120
"""Maximum number of values to which the kernel's parameters are fitted."""
OFFSET = 4.0
"""Variance of a stage's offset, in units of its scale. Runs that reach the end were selected as promising, so the
offsets of stages differ.
"""
HELPS = math.log(2.0)
"""Another study helps when the own values are this much likelier with it (logarithm): with few values chance alone
makes a small difference.
"""
_ITERATIONS = 40
_DRAWN = 96
_TAILS, _WIDER = 5, 1.2
"""The proposal is a Student t with this many degrees of freedom, this much wider than the posterior at its mode."""
_FLATTEST = 0.7
"""Minimum curvature of the proposal, in precisions of the prior: the posterior has saddles."""
_STEP = 1e-2
_ROOT = math.sqrt(5.0)
TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Parameters:
    """The kernel's parameters as logarithms: one scale a stage, one length a parameter; noise and luck in units of the
    scale.

    kin: for each other study, the correlation of its trend with this study's trend; minus infinity for a study whose
    values do not help.
    """

    scales: Floats
    lengths: Floats
    noise: float
    memory: float
    luck: float
    kin: Floats = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, theta: Floats, stages: int, others: int = 0) -> Parameters:
        """Splits one vector into scales, lengths and noise; with several stages also memory and luck; and `kin`."""
        theta, kin = theta[: len(theta) - others], theta[len(theta) - others :]
        if stages == 1:
            return cls(theta[:1], theta[1:-1], float(theta[-1]), 0.0, -math.inf, kin)
        return cls(theta[:stages], theta[stages:-3], float(theta[-3]), float(theta[-2]), float(theta[-1]), kin)

    @property
    def by_stage(self) -> Floats:
        """The logarithm of the scale of each stage; other studies come last, and their values have their own unit."""
        return np.append(self.scales, np.zeros(len(self.kin)))

    def likeness(self, stages: Whole, others: Whole) -> Floats:
        """Returns the correlation of two stages by their studies alone (n, m): 1 within one study."""
        kin = np.append(np.zeros(len(self.scales)), self.kin)
        study, other = (np.maximum(each - len(self.scales) + 1, 0) for each in (stages, others))
        apart = np.exp(kin[stages])[:, None] * np.exp(kin[others])[None]
        return np.where(study[:, None] == other[None], 1.0, apart)


Priors = tuple[Floats, Floats, Floats, Floats]
_KIN = (math.log(0.6), 0.7, math.log(0.02), math.log(0.99))


def _priors(stages: int, parameters: int, others: int = 0) -> Priors:
    """Returns normal priors on the logarithms: centres, widths, lower bounds, upper bounds.

    With several stages a scale is at least a third of the scale of the most frequent stage, since two final values may
    be similar by chance.
    """
    length = math.sqrt(2) - 1.5 + math.log(parameters) / 2
    scale, rest = (0.0, 1.2, -3.0, 3.0), [(math.log(0.1), 0.75, math.log(1e-3), 0.0)]
    if stages > 1:
        scale, rest = (0.2, 1.0, -1.0, 3.0), [(math.log(0.15), 0.75, math.log(1e-3), 0.0)]
        rest += [(math.log(2.0), 0.75, math.log(0.2), math.log(20.0)), (math.log(0.3), 0.75, math.log(1e-2), 0.0)]
    each = [scale] * stages + [(length, math.sqrt(3) / 1.5, -3.0, 7.0)] * parameters + rest + [_KIN] * others
    return tuple(np.array(column) for column in zip(*each, strict=True))  # type: ignore[return-value]


def fitted(seen: Observed, columns: Whole, shares: Floats) -> Parameters:
    """Returns the mode of the parameters' posterior, from a fixed start: a function of the seen values alone. Many
    values are reduced to the best and the newest part first.
    """
    objective, mode = _fit(seen, columns, shares)
    return objective.parameters(mode)


def drawn(seen: Observed, columns: Whole, shares: Floats, count: int) -> list[Parameters]:
    """Draws `count` parameters from the posterior, equally likely; the same for the same data.

    Importance sampling: a Student t around the mode, with the curvature of the posterior there, proposes; the posterior
    weights; systematic resampling draws.
    """
    objective, mode = _fit(seen, columns, shares)
    _, width, low, high = objective.priors
    values, vectors = np.linalg.eigh(_curvature(objective, mode) * width[:, None] * width)
    axes = _WIDER * width[:, None] * vectors / np.sqrt(np.maximum(values, _FLATTEST))
    random = np.random.default_rng(0)
    steps = random.standard_normal((_DRAWN // 2, len(mode)))
    steps *= np.sqrt(_TAILS / random.chisquare(_TAILS, len(steps)))[:, None]
    steps = np.vstack([steps, -steps])
    proposed = mode + steps @ axes.T
    inside = ((proposed >= low) & (proposed <= high)).all(axis=1)
    likely = np.array(
        [-objective.value(each) if known else -math.inf for each, known in zip(proposed, inside, strict=True)]
    )
    likely += (_TAILS + len(mode)) / 2 * np.log1p((steps**2).sum(axis=1) / _TAILS)
    if not np.isfinite(likely).any():
        return [objective.parameters(mode)]
    weights = np.exp(likely - likely.max())
    places = np.searchsorted(np.cumsum(weights / weights.sum()), (np.arange(count) + 0.5) / count)
    return [objective.parameters(proposed[min(place, _DRAWN - 1)]) for place in places]


def _fit(seen: Observed, columns: Whole, shares: Floats) -> tuple[_Objective, Floats]:
    """Returns the posterior of the parameters given this study's values and the values of the studies that help, and
    its mode. With fewer than two own values every study is used.
    """
    seen, every = seen.bounded(FITTED), [int(study) for study in np.unique(seen.studies) if study]

    def fit(*used: int) -> tuple[_Objective, Floats]:
        part = seen.of(np.isin(seen.studies, [0, *used]))
        stages = stages_of(part, shares)
        values = scaled(part, stages, len(shares))[0]
        objective = _Objective(part, stages, values, columns, np.log(shares), max(every, default=0))
        return objective, _mode(objective)

    if not every or seen.own.sum() < 2:
        return fit(*every)
    alone, helped = fit(), {study: fit(study) for study in every}
    least = HELPS + alone[0].foretold(alone[1])
    helping = [study for study, (objective, mode) in helped.items() if objective.foretold(mode) > least]
    if len(helping) == 1:
        return helped[helping[0]]
    return fit(*helping) if helping else alone


def _mode(objective: _Objective) -> Floats:
    centre, _, low, high = objective.priors
    options, bounds = {"maxiter": _ITERATIONS}, list(zip(low, high, strict=True))
    return np.asarray(minimize(objective, centre, jac=True, bounds=bounds, method="L-BFGS-B", options=options).x)


def _curvature(objective: _Objective, mode: Floats) -> Floats:
    """Returns the second derivatives, by differences of the gradient."""
    slope = objective(mode)[1]
    rows = np.array([(objective(mode + step)[1] - slope) / _STEP for step in _STEP * np.eye(len(mode))])
    return np.asarray((rows + rows.T) / 2)


class _Objective:
    """Minus the logarithm of the posterior of the parameters, and its gradient."""

    def __init__(
        self, seen: Observed, stages: Whole, values: Floats, columns: Whole, logs: Floats, others: int = 0
    ) -> None:
        self._values, self._stages, self._count = values, stages, len(logs)
        apart = [
            cdist(seen.points[:, columns == each], seen.points[:, columns == each], "sqeuclidean")
            for each in range(int(columns.max()) + 1)
        ]
        self._apart = np.array(apart)
        logs = np.append(logs, np.zeros(others))
        self._steps = np.abs(logs[stages][:, None] - logs[stages][None])
        self._same = (seen.runs[:, None] == seen.runs[None]).astype(float)
        self._stage = (stages[:, None] == stages[None]).astype(float)
        self._studies, self._others = seen.studies, others
        self._used = np.isin(np.arange(1, others + 1), seen.studies)
        self.priors = _priors(self._count, len(apart), others)
        self._centre, self._width, *_ = self.priors

    def parameters(self, theta: Floats) -> Parameters:
        """Returns the vector as parameters."""
        found = Parameters.of(theta, self._count, self._others)
        return replace(found, kin=np.where(self._used, found.kin, -math.inf)) if self._others else found

    def foretold(self, theta: Floats) -> float:
        """Returns the sum of logarithms of the densities of this study's values, each given all other values; minus
        infinity when there is no factor.
        """
        parts = self._kernel_of(theta)
        if parts is None:
            return -math.inf
        precision = np.diag(cho_solve(parts.factor, np.eye(len(parts.weights))))
        densities = np.log(precision) - parts.weights**2 / precision - math.log(2 * math.pi)
        return 0.5 * float(densities[self._studies == 0].sum())

    def value(self, theta: Floats) -> float:
        """Returns minus the logarithm of the posterior, up to a constant; infinite when there is no factor."""
        parts = self._kernel_of(theta)
        return math.inf if parts is None else self._value_of(theta, parts)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        parts = self._kernel_of(theta)
        if parts is None:
            return 1e10, np.zeros_like(theta)
        found = parts.parameters
        change = cho_solve(parts.factor, np.eye(len(parts.weights))) - np.outer(parts.weights, parts.weights)
        by_value = (change * parts.kernel).sum(axis=1)
        slopes = [np.bincount(self._stages, by_value, self._count)[: self._count]]
        slopes.append(0.5 * np.einsum("ij,pij->p", change * parts.alike * parts.slope, parts.squares))
        slopes.append(np.array([float(np.diag(change) @ parts.noise)]))
        if self._count > 1:
            memory = 0.5 * float((change * parts.trend * self._steps).sum()) / math.exp(found.memory)
            luck = math.exp(2 * found.luck) * float((change * parts.alike * self._same).sum())
            slopes.append(np.array([memory, luck]))
        if len(found.kin):
            across = change * parts.trend * (self._studies[:, None] != self._studies[None])
            slopes.append(np.bincount(self._studies, across.sum(axis=1), len(found.kin) + 1)[1:])
        away = (theta - self._centre) / self._width
        return self._value_of(theta, parts), np.concatenate(slopes) + away / self._width

    def _kernel_of(self, theta: Floats) -> _Parts | None:
        found = self.parameters(theta)
        scales = np.exp(found.by_stage)[self._stages]
        both = scales[:, None] * scales[None]
        alike = both * np.exp(-self._steps / math.exp(found.memory))
        if len(found.kin):
            alike = alike * found.likeness(self._stages, self._stages)
        squares = self._apart * np.exp(-2 * found.lengths)[:, None, None]
        near, slope = matern(squares.sum(axis=0))
        noise = math.exp(2 * found.noise) * scales**2
        trend = alike * (near + math.exp(2 * found.luck) * self._same)
        kernel = trend + OFFSET * both * self._stage + np.diag(noise + TINY)
        try:
            factor = cho_factor(kernel, lower=True)
        except LinAlgError:
            return None
        return _Parts(found, kernel, trend, alike, squares, slope, noise, factor, cho_solve(factor, self._values))

    def _value_of(self, theta: Floats, parts: _Parts) -> float:
        away = (theta - self._centre) / self._width
        fit = 0.5 * float(self._values @ parts.weights) + float(np.log(np.diag(parts.factor[0])).sum())
        return fit + 0.5 * float(away @ away)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A kernel (n, n) with the terms of its gradient."""

    parameters: Parameters
    kernel: Floats
    trend: Floats
    alike: Floats
    squares: Floats
    slope: Floats
    noise: Floats
    factor: tuple[Floats, bool]
    weights: Floats


def matern(squares: Floats) -> tuple[Floats, Floats]:
    """Returns the Matern 5/2 kernel of squared distances, and its negative derivative by the logarithm of the distance,
    divided by the squared distance.
    """
    distance = np.sqrt(squares)
    decay = np.exp(-_ROOT * distance)
    return (1 + _ROOT * distance + 5 / 3 * squares) * decay, 5 / 3 * (1 + _ROOT * distance) * decay
