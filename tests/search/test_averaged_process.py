"""Predictions averaged over the parameters that the values leave possible."""

from __future__ import annotations

import numpy as np

from pld_search.search.averaged_process import DRAWS, AveragedProcess, possible
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.kernel_parameters import FITTED
from pld_search.search.observed_runs import Observed

COLUMNS = np.array([0, 1])


def rungs_and_two_ends(apart: float, seed: int = 0) -> Observed:
    """Six runs seen at a rung, two of which have ended, `apart` from each other."""
    points = np.random.default_rng(seed).random((6, 2))
    rungs = Observed(points, 2 * points[:, 0], np.full(6, 0.3), np.arange(6))
    return rungs.and_also(Observed(points[:2], np.array([0.0, apart]), np.ones(2), np.arange(2)))


def test_two_ends_that_are_alike_by_chance_do_not_make_it_sure() -> None:
    seen = rungs_and_two_ends(1e-3)
    found = AveragedProcess(seen, COLUMNS, possible(seen, COLUMNS))
    points, runs = seen.points[2:6], np.arange(2, 6)
    sure = GaussianProcess(seen, COLUMNS).runs_end(points, runs)[1]
    sds = found.runs_end(points, runs)[1]
    assert (sds > 1.1 * sure).all()
    assert (sds > 0.1).all()  # rungs lie up to 2 apart


def test_the_average_holds_means_that_differ() -> None:
    """The variance is the mean of the variances and the variance of the means."""
    seen = rungs_and_two_ends(0.5)
    parameters = possible(seen, COLUMNS)
    point = np.array([[0.9, 0.1]])
    each = [GaussianProcess(seen, COLUMNS, one).predict(point) for one in parameters[1:]]
    means, sds = (np.array([one[which][0] for one in each]) for which in (0, 1))
    mean, sd = AveragedProcess(seen, COLUMNS, parameters).predict(point)
    assert mean[0] == np.mean(means)
    assert sd[0] ** 2 == np.mean(sds**2) + np.var(means)
    assert np.var(means) > 0


def test_draws_are_a_function_of_the_data() -> None:
    seen = rungs_and_two_ends(0.5)
    first, again = possible(seen, COLUMNS), possible(seen, COLUMNS)
    assert len(first) == 1 + DRAWS
    assert [each.scales.tolist() for each in first] == [each.scales.tolist() for each in again]
    assert len({each.scales.tobytes() for each in first}) > DRAWS // 2


def test_many_values_are_fitted_once() -> None:
    points = np.random.default_rng(0).random((FITTED + 1, 2))
    assert len(possible(Observed.ends(points, points[:, 0]), COLUMNS)) == 1


def test_a_look_moves_the_mean_by_no_more_than_the_deviation() -> None:
    seen = rungs_and_two_ends(0.5)
    found = AveragedProcess(seen, COLUMNS, possible(seen, COLUMNS))
    point = np.array([0.9, 0.1])
    sd = float(found.predict(point[None])[1][0])
    moves = found.looks(point, sd, 77, [0.3, 1.0])
    assert (moves > 0).all()
    assert float((moves**2).sum()) < sd**2


def test_intervals_hold_the_ends_of_runs() -> None:
    """Ends of runs of random valleys, whose rungs say the half of it: 90 % intervals hold about as many, from two known
    ends.
    """
    held = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        points, slope, scale = random.random((8, 2)), random.normal(size=2), np.exp(random.normal())
        ends = scale * (points @ slope + 0.1 * random.normal(size=8))
        rungs = 0.5 * ends / scale + 0.2 * random.normal(size=8)
        known = Observed(points[:2], ends[:2], np.ones(2), np.arange(2))
        seen = Observed(points, rungs, np.full(8, 0.3), np.arange(8)).and_also(known)
        mean, sd = AveragedProcess(seen, COLUMNS, possible(seen, COLUMNS)).runs_end(points[2:], np.arange(2, 8))
        held += list(np.abs(ends[2:] - mean) <= 1.645 * sd)
    assert len(held) == 120
    assert 0.8 <= np.mean(held) <= 0.98
