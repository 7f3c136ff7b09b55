"""What going on is worth, against closed forms and a count by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.search.gaussian_process import expected_improvement
from pld_search.search.worth_of_looking import worth


def index(best: float, mean: float, moves: list[float], costs: list[float]) -> float:
    return float(worth(best, np.array([mean]), np.array([moves]), np.array([costs]))[0])


@pytest.mark.parametrize(("mean", "sd"), [(1.0, 0.5), (0.2, 1.0), (-0.3, 0.2)])
def test_one_look_is_the_expected_improvement_for_its_cost(mean: float, sd: float) -> None:
    wanted = expected_improvement(np.array([mean]), np.array([sd]), 0.0)[0] / 0.7
    assert index(0.0, mean, [sd], [0.7]) == pytest.approx(wanted, rel=0.05)


def test_a_look_that_shows_nothing_only_costs() -> None:
    assert index(0.0, 0.5, [0.0, 1.0], [0.1, 0.9]) == pytest.approx(index(0.0, 0.5, [1.0], [1.0]), rel=0.05)


def test_a_look_that_shows_all_is_paid_once_and_the_rest_where_it_pays() -> None:
    """After a look that shows the end, one goes on where the gain is above ratio x rest: the ratio is where both sides
    of `ratio x first = E[max(gain - ratio x rest, 0)]` meet.
    """
    found = index(0.0, 0.5, [1.0, 0.0], [0.1, 0.9])
    paid = expected_improvement(np.array([0.5]), np.array([1.0]), -0.9 * found)[0]
    assert paid == pytest.approx(0.1 * found, rel=0.1)
    assert found > 1.5 * index(0.0, 0.5, [0.0, 1.0], [0.1, 0.9])


def test_what_is_better_surer_to_move_or_cheaper_is_worth_more() -> None:
    base = index(0.0, 0.5, [0.3, 0.5], [0.2, 0.8])
    assert index(0.0, 0.4, [0.3, 0.5], [0.2, 0.8]) > base
    assert index(0.0, 0.5, [0.5, 0.5], [0.2, 0.8]) > base
    assert index(0.0, 0.5, [0.3, 0.5], [0.2, 0.6]) > base


def test_many_at_once_are_judged_as_each_alone() -> None:
    random = np.random.default_rng(0)
    means, moves, costs = random.random(5), random.random((5, 3)), 0.1 + random.random((5, 3))
    together = worth(0.2, means, moves, costs)
    alone = [worth(0.2, means[[row]], moves[[row]], costs[[row]])[0] for row in range(5)]
    assert together == pytest.approx(alone, rel=1e-9)
