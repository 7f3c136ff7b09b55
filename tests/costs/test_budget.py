"""Steps of a budget: T fits, T + 1 does not."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.budget import MOST_STEPS, most_steps, steps_within
from pld_search.costs.flops import step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.run_cost import expected_flops, forecast
from pld_search.errors import ConfigError
from pld_search.schedules.schedule import Schedule
from tests.costs.examples import BATCH, DATA, MODEL

NAMES = ["full", "pld", "random", "td-only", "td-only-literal", "dd-only"]
FLOPS = step_flops(MODEL, DATA, BATCH)
FULL_STEP = 6 * FLOPS.block + FLOPS.fixed


def _schedule(name: str, sets: list[str], steps: int) -> Schedule:
    return load_schedule(name, layers=MODEL.layers, steps=steps, sets=sets)


def _always(schedule: Schedule) -> Callable[[int], Schedule]:
    return lambda _: schedule


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.booleans(), st.floats(1.0, 3000.0))
def test_the_largest_that_fits(name: str, rising: bool, full_steps: float) -> None:
    budget = full_steps * FULL_STEP
    sets = ["temporal.kind=linear", "temporal.start=0.1", "temporal.end=0.9"] if rising else []
    found = steps_within(budget, lambda steps: _schedule(name, sets, steps), MODEL, DATA, BATCH)
    assert expected_flops(_schedule(name, sets, found), FLOPS, 6, found) <= budget
    assert expected_flops(_schedule(name, sets, found + 1), FLOPS, 6, found + 1) > budget


@pytest.mark.parametrize("name", ["pld", "random"])
def test_a_search_from_one_step_up_finds_the_same(name: str) -> None:
    checked = 0
    for budget in (1.0 * FULL_STEP, 7.3 * FULL_STEP, 20 * FULL_STEP):
        fitting = [
            steps for steps in range(1, 60) if expected_flops(_schedule(name, [], steps), FLOPS, 6, steps) <= budget
        ]
        assert steps_within(budget, lambda steps: _schedule(name, [], steps), MODEL, DATA, BATCH) == max(fitting)
        checked += 1
    assert checked == 3


@pytest.mark.parametrize("reference", NAMES)
@pytest.mark.parametrize("steps", [1, 400, 20_000])
def test_the_budget_of_a_run_buys_that_run(reference: str, steps: int) -> None:
    budget = forecast(_schedule(reference, [], steps), MODEL, DATA, BATCH, steps).total_flops
    assert steps_within(budget, lambda total: _schedule(reference, [], total), MODEL, DATA, BATCH) == steps


@pytest.mark.parametrize("name", ["random", "td-only"])
def test_an_equal_saving_buys_equally_many_steps(name: str) -> None:
    budget = forecast(load_schedule("pld"), MODEL, DATA, BATCH, 5000).total_flops
    assert steps_within(budget, lambda steps: _schedule(name, [], steps), MODEL, DATA, BATCH) == 5000


def test_a_budget_below_one_step() -> None:
    with pytest.raises(ConfigError, match="buys no step"):
        steps_within(0.5 * FULL_STEP, _always(load_schedule("full")), MODEL, DATA, BATCH)


def test_one_cheap_step_fits_where_a_full_one_does_not() -> None:
    thin = load_schedule("dd-only", sets=["temporal.value=0.1", "depth.kind=uniform"])
    assert steps_within(0.5 * FULL_STEP, _always(thin), MODEL, DATA, BATCH) >= 1


def test_a_budget_beyond_any_run() -> None:
    with pytest.raises(ConfigError, match="at most 10,000,000 steps"):
        steps_within(1e9 * FULL_STEP, _always(load_schedule("full")), MODEL, DATA, BATCH)


def test_as_many_steps_as_a_run_may_have() -> None:
    assert most_steps(float(MOST_STEPS), float, full=1.0, fixed=1.0, unit="FLOPs") == MOST_STEPS
    with pytest.raises(ConfigError, match="at most 10,000,000 steps"):
        most_steps(float(MOST_STEPS), lambda steps: 0.5 * steps, full=1.0, fixed=0.5, unit="FLOPs")


def test_a_quotient_that_is_rounded_up_is_not_one_step_too_many() -> None:
    rounded = 0
    for steps in range(2, 200):
        limit = math.nextafter(steps * 0.1, 0.0)
        rounded += int(limit / 0.1) == steps
        assert most_steps(limit, lambda count: count * 0.1, full=0.1, fixed=0.1, unit="FLOPs") == steps - 1
    assert rounded > 10


def test_few_schedules_are_built() -> None:
    asked: list[int] = []

    def schedule(steps: int) -> Schedule:
        asked.append(steps)
        return load_schedule("pld")

    assert steps_within(20_000 * FULL_STEP, schedule, MODEL, DATA, BATCH) > 20_000
    assert len(asked) < 12
