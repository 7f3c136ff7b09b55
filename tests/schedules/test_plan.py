"""Plans: pure in their arguments, equal in every process, gates that agree with keep probabilities."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.schedules.plan import Gates, Plan
from tests.schedules.examples import PLD, constant, schedule

GOLDEN = "sha256:8cee8ec769162a8705242f2e392c17425598626234c33bcbb445f94415d8e33c"


def test_the_plan_of_pld_stays_what_it_was() -> None:
    """A change here changes every stored run: say so in the changelog and in the records' version."""
    assert Plan(schedule(), 0, 1000, 12, 2).digest() == GOLDEN


def test_a_plan_is_equal_in_another_process() -> None:
    code = (
        "from pld_search.schedules.plan import Plan; from pld_search.schedules.schedule import Schedule\n"
        f"plan = Plan(Schedule.model_validate({PLD!r}), 0, 1000, 12, 2)\n"
        "print(plan.digest(), plan.gates(777, 1))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    plan = Plan(schedule(), 0, 1000, 12, 2)
    assert other.stdout.strip() == f"{plan.digest()} {plan.gates(777, 1)}"


@pytest.mark.parametrize("change", [{"seed": 1}, {"total": 999}, {"layers": 11}, {"groups": 1}], ids=str)
def test_every_argument_changes_the_plan(change: dict[str, int]) -> None:
    base = {"seed": 0, "total": 1000, "layers": 12, "groups": 2}
    assert Plan(schedule(), **{**base, **change}).digest() != GOLDEN


def test_groups_and_layers_do_not_disturb_each_other() -> None:
    wide, narrow = Plan(constant(0.5), 4, 100, 12, 3), Plan(constant(0.5), 4, 100, 5, 2)
    assert (wide.kept(np.arange(100))[:, :2, :5] == narrow.kept(np.arange(100))).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, 3000), st.integers(1, 30), st.integers(1, 4), st.data())
def test_gates_kept_and_blocks_are_one_plan(
    seed: int, total: int, layers: int, groups: int, data: st.DataObject
) -> None:
    plan = Plan(schedule(), seed, total, layers, groups)
    whole = np.concatenate([kept for _, kept in plan.blocks()])
    assert whole.shape == (total, groups, layers)
    steps = data.draw(st.lists(st.integers(0, total - 1), min_size=1, max_size=8))
    assert (plan.kept(steps) == whole[steps]).all()
    for step in steps:  # in any order, so that the block held inside is replaced and read again
        for group in range(groups):
            assert plan.gates(step, group).keep == tuple(whole[step, group].tolist())


@pytest.mark.parametrize("rescale", ["sublayer", "block"])
def test_scale_is_the_inverse_of_p_where_kept(rescale: str) -> None:
    made, total, layers, dropped = schedule(rescale=rescale), 200, 12, 0
    plan = Plan(made, 9, total, layers, 2)
    for step in range(total):
        p = made.keep_probabilities(step, total, layers)
        for group in range(2):
            gates = plan.gates(step, group)
            assert gates.where == rescale
            assert gates.scale == tuple(1 / float(q) if keep else 1.0 for q, keep in zip(p, gates.keep, strict=True))
            dropped += gates.keep.count(False)
    assert dropped > 500
    assert plan.gates(0, 0) == Gates((True,) * 12, (1.0,) * 12, rescale)  # type: ignore[arg-type]


def test_nothing_is_scaled_without_a_rescale_or_at_full_depth() -> None:
    plain, full = Plan(schedule(rescale="none"), 0, 50, 6), Plan(constant(1.0), 0, 50, 6)
    for step in range(50):
        assert plain.gates(step, 0).scale == full.gates(step, 0).scale == (1.0,) * 6
        assert full.gates(step, 0).keep == (True,) * 6
    assert plain.gates(40, 0).where == "none"


def test_gates_hold_plain_python_values() -> None:
    gates = Plan(schedule(), 0, 50, 6).gates(40, 0)
    assert {type(value) for value in gates.keep} == {bool}
    assert {type(value) for value in gates.scale} == {float}


def test_the_mean_scale_is_unbiased() -> None:
    """E[G/p] = 1 for every layer: within four standard errors over 20,000 plans."""
    made, total = constant(0.5, {"kind": "linear", "index": "l/L"}), 20_000
    p = made.keep_probabilities(0, total, 12)
    weight = Plan(made, 2, total, 12).kept(np.arange(total))[:, 0] / p
    assert (np.abs(weight.mean(axis=0) - 1) <= 4 * np.sqrt((1 - p) / p / total)).all()


def test_equal_plans_are_equal_whatever_was_read() -> None:
    first, second = Plan(schedule(), 0, 100, 4), Plan(schedule(), 0, 100, 4)
    first.gates(5, 0)
    assert first == second
    assert repr(first) == repr(second)


@pytest.mark.parametrize(("step", "group"), [(-1, 0), (100, 0), (0, 2), (0, -1)])
def test_outside_the_plan(step: int, group: int) -> None:
    with pytest.raises(ValueError, match="outside the plan"):
        Plan(schedule(), 0, 100, 4, 2).gates(step, group)


@pytest.mark.parametrize("steps", [[-1], [100], [0, 100]])
def test_steps_outside_the_plan(steps: list[int]) -> None:
    with pytest.raises(ValueError, match="steps of a plan"):
        Plan(schedule(), 0, 100, 4).kept(steps)


@pytest.mark.parametrize("shape", [{"total": 0}, {"layers": 0}, {"groups": 0}], ids=str)
def test_an_empty_plan_is_refused(shape: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Plan(schedule(), **{"seed": 0, "total": 10, "layers": 2, "groups": 1, **shape})


def test_a_long_plan_is_streamed_in_little_memory() -> None:
    plan, steps = Plan(schedule(), 0, 100_000, 48), 0
    tracemalloc.start()
    try:
        for _, kept in plan.blocks():
            steps += len(kept)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert steps == 100_000
    assert peak < 20e6
