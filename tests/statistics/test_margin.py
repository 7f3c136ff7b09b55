from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import linregress

from pld_search.statistics.margin import Margin, margin_of_budget

BUDGETS = (0.8, 1.0, 1.25)


def curve(slope: float, noise: float, seeds: int, draw: int = 0) -> dict[float, dict[int, float]]:
    generator = np.random.default_rng(draw)
    effects = generator.normal(0, 1, seeds)
    return {
        budget: {
            seed: 5 + slope * math.log(budget) + effects[seed] + noise * generator.standard_normal()
            for seed in range(seeds)
        }
        for budget in BUDGETS
    }


def test_an_exact_curve() -> None:
    found = margin_of_budget(curve(-0.3, 0.0, 3), 0.05)
    assert found.nats == pytest.approx(-0.3 * math.log(0.95))
    assert found.nats == pytest.approx(0.0154, abs=1e-4)
    assert found.standard_error == pytest.approx(0, abs=1e-9)
    assert found.freedom == 9 - 3 - 1


def test_one_seed_is_a_regression() -> None:
    losses = curve(-0.3, 0.01, 1)
    fitted = linregress([math.log(budget) for budget in BUDGETS], [losses[budget][0] for budget in BUDGETS])
    found = margin_of_budget(losses, 0.05)
    assert found.nats == pytest.approx(fitted.slope * math.log(0.95))
    assert found.standard_error == pytest.approx(-fitted.stderr * math.log(0.95))
    assert found.freedom == 1


def test_the_interval_covers_the_true_margin() -> None:
    truth, inside = -0.3 * math.log(0.95), 0
    for draw in range(400):
        interval = margin_of_budget(curve(-0.3, 0.01, 3, draw), 0.05).interval()
        assert interval is not None
        inside += interval[0] <= truth <= interval[1]
    assert inside / 400 == pytest.approx(0.95, abs=0.03)


def test_seeds_with_one_budget_say_nothing() -> None:
    losses = curve(-0.3, 0.01, 3)
    more = {**losses, 1.0: {**losses[1.0], 9: 99.0}}
    assert margin_of_budget(more, 0.05) == margin_of_budget(losses, 0.05)


def test_two_runs_give_no_error() -> None:
    found = margin_of_budget({0.8: {0: 5.1}, 1.0: {0: 5.0}}, 0.05)
    assert found == Margin(pytest.approx(0.1 * math.log(0.95) / math.log(0.8)), 0.05, None, 0)
    assert found.interval() is None


@pytest.mark.parametrize(
    ("losses", "share", "message"),
    [
        ({0.8: {0: 5.0}, 1.0: {0: 5.1}}, 0.05, "does not fall"),
        ({0.8: {0: 5.0}, 1.0: {1: 5.1}}, 0.05, "two budgets"),
        ({0.8: {0: math.nan}, 1.0: {0: 5.1}}, 0.05, "seed 0 needs finite"),
        ({0.8: {0: 5.0}, 1.0: {0: 4.9}}, 1.0, "0 < share < 1"),
        ({0.0: {0: 5.0}, 1.0: {0: 4.9}}, 0.05, "budgets above 0"),
    ],
)
def test_what_gives_no_margin_is_refused(losses: dict[float, dict[int, float]], share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        margin_of_budget(losses, share)
