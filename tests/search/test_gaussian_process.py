"""The Gaussian process and what is asked by it."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from pld_search.search.gaussian_process import GaussianProcess, expected_improvement
from pld_search.search.kernel_parameters import Parameters, _Objective, _priors
from pld_search.search.observed_runs import Observed, kept, scaled, stages_of
from pld_search.search.space_filling import sobol, starts_of
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.specs.yaml_io import load


def test_expected_improvement_is_the_integral() -> None:
    for mean, sd, best in ((0.0, 1.0, 0.5), (2.0, 0.3, 1.0), (-1.0, 0.5, -0.7)):
        wanted, _ = quad(lambda f: (best - f) * norm.pdf(f, mean, sd), -10, best)  # noqa: B023
        assert expected_improvement(np.array([mean]), np.array([sd]), best)[0] == pytest.approx(wanted, abs=1e-7)


def test_it_learns_a_smooth_function_and_knows_where_it_does_not() -> None:
    points = np.random.default_rng(0).random((25, 2))
    model = GaussianProcess(Observed.ends(points, np.sin(4 * points[:, 0]) + points[:, 1]))
    inside = np.random.default_rng(1).random((50, 2)) * 0.8 + 0.1
    mean, sd = model.predict(inside)
    assert np.abs(mean - np.sin(4 * inside[:, 0]) - inside[:, 1]).max() < 0.15
    assert model.predict(np.array([[4.0, 4.0]]))[1][0] > 5 * sd.mean()


def test_the_mean_is_no_single_lucky_value() -> None:
    """Noise around a parabola: the least value is luck, the least mean lies near the middle."""
    random = np.random.default_rng(3)
    points = np.repeat(np.linspace(0, 1, 11), 3)[:, None]
    values = 4 * (points[:, 0] - 0.5) ** 2 + 0.3 * random.standard_normal(len(points))
    values[0] = -1.0
    mean, _ = GaussianProcess(Observed.ends(points, values)).predict(points)
    assert int(np.argmin(values)) == 0
    assert abs(points[int(np.argmin(mean)), 0] - 0.5) <= 0.2


def test_one_diverged_run_does_not_flatten_the_others() -> None:
    points = np.linspace(0, 1, 12)[:, None]
    values = (points[:, 0] - 0.3) ** 2
    values[-1] = 1e9
    mean, _ = GaussianProcess(Observed.ends(points, values)).predict(points)
    assert int(np.argmin(mean)) in (3, 4)


def curves(seed: int = 0) -> Observed:
    """Twelve runs seen at three shares, four of them at their ends."""
    random = np.random.default_rng(seed)
    points = random.random((12, 3))
    rows = [(run, share) for run in range(12) for share in (0.1, 0.4, 1.0) if share < 1 or run < 4]
    runs, shares = (np.array(column) for column in zip(*rows, strict=True))
    values = points[runs, 0] / shares + np.sin(5 * points[runs, 1]) + 0.05 * random.standard_normal(len(rows))
    return Observed(points[runs], values, shares, runs)


def test_the_slope_is_that_of_the_posterior() -> None:
    seen = curves()
    stages = np.searchsorted([0.1, 0.4, 1.0], seen.shares)
    objective = _Objective(seen, stages, seen.values - seen.values.mean(), np.array([0, 0, 1]), np.log([0.1, 0.4, 1.0]))
    theta = _priors(3, 2)[0] + 0.2 * np.random.default_rng(1).standard_normal(8)
    numeric = approx_fprime(theta, lambda each: objective(each)[0], 1e-6)
    assert objective(theta)[1] == pytest.approx(numeric, abs=1e-3)


def test_the_slope_is_that_of_the_posterior_with_another_study() -> None:
    points = np.random.default_rng(4).random((6, 3))
    other = Observed(points, points[:, 0] + 9, np.ones(6), -9 - np.arange(6), np.ones(6, np.intp))
    seen = other.and_also(curves())
    shares = np.array([0.1, 0.4, 1.0])
    stages = stages_of(seen, shares)
    assert set(stages.tolist()) == {0, 1, 2, 3}
    objective = _Objective(seen, stages, scaled(seen, stages, 3)[0], np.array([0, 0, 1]), np.log(shares), 1)
    theta = _priors(3, 2, 1)[0] + 0.2 * np.random.default_rng(1).standard_normal(9)
    numeric = approx_fprime(theta, lambda each: objective(each)[0], 1e-6)
    assert objective(theta)[1] == pytest.approx(numeric, abs=1e-3)
    assert objective.value(theta) == objective(theta)[0]


def test_of_ends_alone_it_is_the_process_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    points, others = random.random((20, 2)), random.random((5, 2))
    values = np.sin(4 * points[:, 0]) + points[:, 1]
    given = Parameters(np.array([0.3]), np.log([0.5, 0.8]), math.log(0.1), 0.0, -math.inf)
    mean, sd = GaussianProcess(Observed.ends(points, values), parameters=given).predict(others)
    scale = math.exp(0.6)
    kernel = ConstantKernel(scale) * Matern([0.5, 0.8], nu=2.5) + ConstantKernel(4 * scale)
    shift, unit = values.mean(), values.std()
    theirs = GaussianProcessRegressor(kernel, alpha=0.01 * scale + 1e-8, optimizer=None)
    theirs.fit(points, (values - shift) / unit)
    wanted, spread = theirs.predict(others, return_std=True)
    assert mean == pytest.approx(shift + unit * wanted, abs=1e-8)
    assert sd == pytest.approx(unit * spread, abs=1e-8)


def test_a_run_seen_early_tells_of_its_own_end() -> None:
    seen = curves()
    model = GaussianProcess(seen)
    point = np.array([0.5, 0.5, 0.5])
    without, sure = model.predict(point[None])
    added = Observed(point[None].repeat(2, 0), np.array([7.0, 3.0]), np.array([0.1, 0.4]), np.array([50, 50]))
    mean, sd = GaussianProcess(seen.and_also(added), parameters=model.parameters).predict(point[None])
    assert mean[0] > without[0]
    assert sd[0] < sure[0]
    measured = GaussianProcess(seen.and_also(added), parameters=model.parameters).runs_end(point[None], np.array([50]))
    assert measured[1][0] > sd[0]  # noise and luck besides


def test_looks_move_the_mean_as_far_as_they_make_it_surer() -> None:
    """The variance before is the variance after all looks and the squares of the moves."""
    seen = curves()
    model = GaussianProcess(seen)
    point = np.array([0.2, 0.9, 0.5])
    moves = model.looks(point, 77, [0.1, 0.4, 1.0])
    looked = Observed(point[None].repeat(3, 0), np.array([1.0, 1.0, 1.0]), np.array([0.1, 0.4, 1.0]), np.full(3, 77))
    before = model.predict(point[None])[1]
    grown = GaussianProcess(seen.and_also(looked), parameters=model.parameters)
    after = grown.predict(point[None])[1] * model._scale / grown._scale  # values change nothing but the unit
    assert before[0] ** 2 - after[0] ** 2 == pytest.approx(float((moves**2).sum()), rel=1e-6)


def test_points_that_are_nearly_one_do_not_end_a_search() -> None:
    points = np.full((40, 2), 0.5) + 1e-9 * np.random.default_rng(0).random((40, 2))
    given = Parameters(np.array([3.0]), np.array([7.0, 7.0]), math.log(1e-3), 0.0, -math.inf)
    mean, sd = GaussianProcess(Observed.ends(points, np.arange(40.0)), parameters=given).predict(points)
    assert np.isfinite(mean).all()
    assert (sd > 0).all()


def test_a_fit_is_bounded_by_the_best_and_the_newest() -> None:
    values = np.arange(1000.0)[::-1]
    found = kept(values, 10)
    assert list(found) == sorted(found)
    assert set(range(995, 1000)) <= set(found)
    assert list(kept(values[:10], 10)) == list(range(10))
    assert len(kept(np.random.default_rng(0).random(1000), 400)) == 400


def test_starts_are_distinct_even_and_the_same_for_a_seed() -> None:
    space = FlatSpace(load("lr: {log: [1e-4, 1e-2]}\ns: {choice: {a: {x: {float: [0, 1]}}, b: {}}}", "s"))
    points = list(sobol(space, 7))
    assert points == list(sobol(space, 7))
    assert points != list(sobol(space, 8))
    assert len({key_of(params) for params in points[:8]}) == 8
    assert all(("s.a.x" in params) == (params["s"] == "a") for params in points)
    halves = [params["lr"] < 1e-3 for params in points[:8]]
    assert sum(halves) == 4
    assert starts_of(space, 5) == 5
    assert starts_of(FlatSpace(load("lr: {log: [1e-4, 1e-2]}", "s")), 5) == 3


@pytest.mark.soak
def test_a_fit_of_a_thousand_points_takes_a_bounded_time() -> None:
    random = np.random.default_rng(0)
    points = random.random((1000, 12))
    started = time.process_time()
    values = points.sum(axis=1) + random.standard_normal(1000)
    GaussianProcess(Observed.ends(points, values)).predict(points[:600])
    assert time.process_time() - started < 10
