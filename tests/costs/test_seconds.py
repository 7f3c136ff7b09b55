"""Seconds from a profile: by hand, against the executed plan, and turned round into steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.expected_depth import expect
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.seconds import full_depth_seconds, makespan, run_seconds, steps_within_seconds
from pld_search.errors import ConfigError
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule
from tests.costs.profiles import profile

LAYERS = 6
PROFILE = profile()


def seconds(schedule: Schedule, steps: int, groups: int = 1) -> float:
    return run_seconds(PROFILE, expect(schedule, steps, LAYERS, groups), schedule.skipped)


def test_full_depth_by_hand() -> None:
    assert full_depth_seconds(PROFILE, 6, 100) == pytest.approx(100 * (0.5 + 6 * 0.25 + 6 * 0.01))
    assert seconds(load_schedule("full"), 100) == pytest.approx(full_depth_seconds(PROFILE, 6, 100))


def test_half_the_layers_by_hand() -> None:
    half = load_schedule("random", layers=LAYERS, steps=100, sets=["temporal.value=0.5"])
    assert seconds(half, 100) == pytest.approx(100 * (0.5 + 3 * 0.25 + 3 * 0.01))


def test_groups_touch_more_layers_than_they_run() -> None:
    half = load_schedule("random", layers=LAYERS, steps=100, sets=["temporal.value=0.5"])
    assert seconds(half, 100, groups=2) == pytest.approx(100 * (0.5 + 3 * 0.25 + 6 * 0.75 * 0.01))


@pytest.mark.parametrize("skipped", ["zero_grad", "decay"])
def test_what_is_not_frozen_is_updated_at_every_step(skipped: str) -> None:
    half = load_schedule(
        "random", layers=LAYERS, steps=100, sets=["temporal.value=0.5", "rescale=none", f"skipped={skipped}"]
    )
    assert seconds(half, 100) == pytest.approx(100 * (0.5 + 3 * 0.25 + 6 * 0.01))


@pytest.mark.parametrize("sets", [[], ["draw.unit=sublayer"]])
def test_the_mean_over_executed_plans(sets: list[str]) -> None:
    """20,000 steps of a plan, each half with its own seconds, within four standard errors."""
    schedule = load_schedule("pld", layers=LAYERS, steps=20_000, sets=sets)
    kept = Plan(schedule, 3, 20_000, LAYERS).kept_sublayers(np.arange(20_000))[:, 0]
    spent = 0.15 * kept[..., 0].sum(axis=-1) + 0.1 * kept[..., 1].sum(axis=-1)
    frozen = profile(seconds_update=0.0)
    expected = run_seconds(frozen, expect(schedule, 20_000, LAYERS), schedule.skipped) - 20_000 * 0.5
    assert spent.sum() == pytest.approx(expected, abs=4 * spent.std() * np.sqrt(20_000))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["full", "pld", "random", "dd-only", "pld-deepspeed"]), st.floats(3.0, 5000.0), st.integers(1, 4)
)
def test_the_largest_that_fits(name: str, budget: float, groups: int) -> None:
    def schedule(steps: int) -> Schedule:
        return load_schedule(name, layers=LAYERS, steps=steps)

    found = steps_within_seconds(budget, schedule, PROFILE, LAYERS, groups)
    assert seconds(schedule(found), found, groups) <= budget
    assert seconds(schedule(found + 1), found + 1, groups) > budget


def test_the_seconds_of_a_run_buy_that_run() -> None:
    schedule = load_schedule("pld")
    assert steps_within_seconds(seconds(schedule, 777), lambda _: schedule, PROFILE, LAYERS, 1) == 777


def test_without_any_fixed_part() -> None:
    free = profile(seconds_fixed=0.0)
    full = load_schedule("full")
    assert steps_within_seconds(15.7, lambda _: full, free, LAYERS, 1) == 10


def test_a_budget_below_one_step() -> None:
    with pytest.raises(ConfigError, match=r"the budget buys no step; allowed: at least 2\.06 seconds"):
        steps_within_seconds(1.0, lambda _: load_schedule("full"), PROFILE, LAYERS, 1)


def test_slots_are_filled_as_they_come_free() -> None:
    assert makespan([3.0, 1.0, 1.0, 2.0], 2) == 4.0  # 3 | 1 1 2
    assert makespan([3.0, 1.0, 1.0, 2.0], 1) == 7.0
    assert makespan([3.0, 1.0], 8) == 3.0
    assert makespan([], 2) == 0.0
