from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import levene, trim_mean

from pld_search.statistics.scores import brown_forsythe, components, interquartile_mean, interquartile_mean_over_tasks

# Davies 1947, Statistical Methods in Research and Production: yield of dyestuff, six batches of five samples
DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]


def test_the_components_of_dyestuff() -> None:
    """Published: 1764 between batches, 2451 within (Davies 1947; Box and Tiao 1973, section 5.1.2)."""
    found = components(DYESTUFF)
    assert (found.mean, found.between, found.within) == (
        pytest.approx(1527.5),
        pytest.approx(1764.05, abs=0.01),
        pytest.approx(2451.25),
    )
    assert (found.between_freedom, found.within_freedom) == (5, 24)
    assert found.variance_of_mean(6, 5) == pytest.approx(11271.5 / 30)  # the mean square between, over all samples


def test_unequal_numbers_of_fine_tunings_are_unbiased() -> None:
    generator = np.random.default_rng(1)
    between, within = [], []
    for _ in range(1500):
        runs = [list(generator.normal(0, 2) + generator.normal(0, 3, size)) for size in (2, 5, 9, 3)]
        found = components(runs)
        within.append(found.within)
        between.append(found.between)
    assert np.mean(within) == pytest.approx(9, rel=0.05)
    assert np.mean(between) == pytest.approx(4, rel=0.15)  # a little above, since none is below 0


def test_what_is_worth_buying() -> None:
    found = components(DYESTUFF)
    assert found.best_fine_tunings(100, 1) == pytest.approx(math.sqrt(2451.25 / 1764.05 * 100), rel=1e-4)
    equal = components([[1.0, 3.0], [1.0, 3.0]])
    assert (equal.between, equal.best_fine_tunings(100, 1)) == (0.0, math.inf)


def test_unknown_components() -> None:
    single = components([[70.0, 71.0, 72.0]])
    assert (single.between, single.within, single.variance_of_mean(3, 5)) == (None, 1.0, None)
    one_each = components([[70.0], [71.0]])
    assert (one_each.between, one_each.within, one_each.best_fine_tunings(9, 1)) == (None, None, None)


def test_brown_and_forsythe_is_scipys() -> None:
    generator = np.random.default_rng(2)
    groups = [list(generator.normal(0, sd, 8)) for sd in (1, 1, 6)]
    assert brown_forsythe(groups) == pytest.approx(levene(*groups, center="median").pvalue)
    assert brown_forsythe([*groups, [1.0]]) == brown_forsythe(groups)
    assert brown_forsythe(groups[:1]) is None
    assert brown_forsythe([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]) is None


@pytest.mark.parametrize("size", [1, 3, 4, 7, 20])
def test_the_interquartile_mean_is_scipys_trimmed_mean(size: int) -> None:
    scores = np.random.default_rng(size).normal(70, 5, size)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores, 0.25))


def test_the_interval_over_tasks_draws_runs_within_each_task() -> None:
    generator = np.random.default_rng(3)
    spread = {"rte": list(generator.normal(65, 2, 20)), "cola": list(generator.normal(50, 2, 20))}
    found = interquartile_mean_over_tasks(spread)
    assert found.low < found.value < found.high
    assert found.high - found.low < 3  # a bootstrap over all forty scores would mix tasks 15 points apart
    assert interquartile_mean_over_tasks(spread) == found
    constant = interquartile_mean_over_tasks({"rte": [65.0, 65.0], "cola": [50.0, 50.0]})
    assert (constant.low, constant.value, constant.high) == (57.5, 57.5, 57.5)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="scores of a run"):
        components([[1.0, math.nan], [2.0]])
    with pytest.raises(ValueError, match="scores of a run needs at least one"):
        components([[], [2.0]])
    with pytest.raises(ValueError, match="one value"):
        components([])
    with pytest.raises(ValueError, match="group"):
        brown_forsythe([[1.0, math.nan, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="rte"):
        interquartile_mean_over_tasks({"rte": [math.inf]})
    with pytest.raises(ValueError, match="one task"):
        interquartile_mean_over_tasks({})
