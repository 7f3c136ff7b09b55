"""The Gaussian process and what is asked by it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from pld_search.search.gaussian_process import GaussianProcess, expected_improvement, kept
from pld_search.search.space_filling import sobol, starts_of
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.specs.yaml_io import load


def test_expected_improvement_is_the_integral() -> None:
    for mean, sd, best in ((0.0, 1.0, 0.5), (2.0, 0.3, 1.0), (-1.0, 0.5, -0.7)):
        wanted, _ = quad(lambda f: (best - f) * norm.pdf(f, mean, sd), -10, best)  # noqa: B023
        assert expected_improvement(np.array([mean]), np.array([sd]), best)[0] == pytest.approx(wanted, abs=1e-7)


def test_it_learns_a_smooth_function_and_knows_where_it_does_not() -> None:
    points = np.random.default_rng(0).random((25, 2))
    model = GaussianProcess(points, np.sin(4 * points[:, 0]) + points[:, 1])
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
    mean, _ = GaussianProcess(points, values).predict(points)
    assert int(np.argmin(values)) == 0
    assert abs(points[int(np.argmin(mean)), 0] - 0.5) <= 0.2


def test_one_diverged_run_does_not_flatten_the_others() -> None:
    points = np.linspace(0, 1, 12)[:, None]
    values = (points[:, 0] - 0.3) ** 2
    values[-1] = 1e9
    mean, _ = GaussianProcess(points, values).predict(points)
    assert int(np.argmin(mean)) in (3, 4)


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
    GaussianProcess(points, points.sum(axis=1) + random.standard_normal(1000)).predict(points[:600])
    assert time.process_time() - started < 10
