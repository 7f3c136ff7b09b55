"""Forecasts of stacks that grow: against sums over single steps, against what plans draw, and against full depth at the
end.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.budget import steps_within
from pld_search.costs.expected_depth import expect, kept_grid
from pld_search.costs.flops import step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.profile import Profile
from pld_search.costs.run_cost import expected_flops, forecast, full_depth_flops
from pld_search.costs.saving import resolve_schedule
from pld_search.costs.seconds import run_seconds, steps_within_seconds
from pld_search.errors import ConfigError
from pld_search.schedules.existing_layers import LayersAt
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule
from pld_search.specs.growth import Growth
from pld_search.specs.yaml_io import load
from tests.costs.examples import BATCH, DATA, MODEL

GROWTH = Growth.model_validate({"stages": {"0 %": 1, "30 %": 3, "60 %": 6}, "weights": "stack", "moments": "copy"})
TOTAL = 2000
STACK = GROWTH.layers_at(TOTAL)


@pytest.mark.parametrize(
    "name", ["full", "pld", "raptr", "layerskip", "growth-without-sampling", "dd-only", "alternate-exact"]
)
@pytest.mark.parametrize("groups", [1, 3])
def test_expectations_are_sums_over_steps(name: str, groups: int) -> None:
    schedule = _named(name)
    p = np.array([schedule.keep_probabilities(step, TOTAL, STACK.before(step)).sum() for step in range(TOTAL)])
    found = expect(schedule, TOTAL, STACK, groups)
    assert (found.layers, found.expected_layers_mean) == (6, pytest.approx(p.mean(), abs=1e-9))
    assert found.saved_block_flops == pytest.approx(1 - p.mean() / 6, abs=1e-12)
    assert found.existing_layers_mean == (600 * 1 + 600 * 3 + 800 * 6) / TOTAL
    assert found.expected_layers_end == pytest.approx(schedule.keep_probabilities(TOTAL, TOTAL, 6).sum())
    assert kept_grid(schedule, TOTAL, STACK) == pytest.approx(p.sum() * STEPS, rel=1e-12)
    flops = step_flops(MODEL, DATA, BATCH)
    assert expected_flops(schedule, flops, STACK, TOTAL) == pytest.approx(
        flops.block * p.sum() + flops.fixed * TOTAL, rel=1e-12
    )


@pytest.mark.parametrize("name", ["pld", "raptr", "alternate-exact"])
def test_plans_keep_what_was_forecast(name: str) -> None:
    schedule, groups = _named(name), 2
    kept = Plan(schedule, 4, TOTAL, STACK, groups).kept(np.arange(TOTAL))
    found = expect(schedule, TOTAL, STACK, groups)
    error = 4 * found.layers_std / np.sqrt(TOTAL * groups) + 2 / TOTAL
    assert kept.sum(axis=-1).mean() == pytest.approx(found.expected_layers_mean, abs=error)
    assert kept.any(axis=1).sum(axis=-1).mean() == pytest.approx(
        found.touched_layers_mean, abs=4 * 1.3 / np.sqrt(TOTAL) + 2 / TOTAL
    )
    p = schedule.keep_probabilities(np.arange(TOTAL), TOTAL, STACK)
    variance = np.mean([_deviation(schedule, row) for row in p])
    assert found.layers_std == pytest.approx(variance, abs=1e-9)


def test_full_depth_and_growth_saves_what_does_not_exist() -> None:
    found = forecast(load_schedule("full"), MODEL, DATA, BATCH, TOTAL, GROWTH)
    flops = step_flops(MODEL, DATA, BATCH)
    assert found.block_flops == pytest.approx(flops.block * (600 * 1 + 600 * 3 + 800 * 6))
    assert found.attention_flops + found.feed_forward_flops == pytest.approx(found.block_flops)
    assert found.head_flops == flops.head * TOTAL
    assert found.saved_flops == pytest.approx(
        1 - (found.block_flops + flops.fixed * TOTAL) / full_depth_flops(flops, 6, TOTAL)
    )
    assert (found.step_flops_std, found.layers_std, found.keep_probabilities_mean[-1]) == (0.0, 0.0, 0.4)


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 3000), st.sampled_from(["full", "pld", "raptr"]))
def test_the_largest_run_that_a_budget_buys(steps: int, name: str) -> None:
    schedule, flops = load_schedule(name), step_flops(MODEL, DATA, BATCH)

    def cost(total: int) -> float:
        return expected_flops(schedule, flops, GROWTH.layers_at(total), total)

    found = steps_within(full_depth_flops(flops, 6, steps), lambda _: schedule, MODEL, DATA, BATCH, GROWTH)
    assert found > steps
    assert cost(found) <= full_depth_flops(flops, 6, steps) < cost(found + 1)


def test_seconds_count_the_layers_there_are() -> None:
    setting = {"device": "cpu", "versions": {}}
    parts = {
        "seconds_attention": 1.0,
        "seconds_feed_forward": 2.0,
        "seconds_update": 0.5,
        "seconds_fixed": 0.25,
        "seconds_start": 0.0,
    }
    about = {
        "architecture": "sha256:" + "0" * 64,
        "about": "",
        "bytes": 1,
        "spread": 0.0,
        "rounds": 1,
        "measured": "2026-01-01T00:00:00",
    }
    profile = Profile.model_validate({**about, **parts, "setting": setting})
    full, there = load_schedule("full"), 600 * 1 + 600 * 3 + 800 * 6
    for skipped in ("freeze", "zero_grad"):
        assert run_seconds(profile, expect(full, TOTAL, STACK), skipped) == pytest.approx(TOTAL * 0.25 + there * 3.5)  # type: ignore[arg-type]
    bought = steps_within_seconds(TOTAL * 0.25 + there * 3.5 + 1e-6, lambda _: full, profile, 6, 1, GROWTH)
    assert bought == TOTAL


@pytest.mark.parametrize("form", ["60 % of blocks", "50 % of total"])
def test_a_saving_is_against_the_final_depth(form: str) -> None:
    tree = load(_constant(form), "s.yaml")
    schedule = resolve_schedule(tree, STACK, TOTAL, flops=step_flops(MODEL, DATA, BATCH))
    found = forecast(schedule, MODEL, DATA, BATCH, TOTAL, GROWTH)
    saved = found.saved_block_flops if form.endswith("blocks") else found.saved_flops
    assert saved == pytest.approx(float(form[:2]) / 100, abs=1e-6)


def test_a_saving_below_growths_own_cannot_be_reached() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_schedule(load(_constant("25 % of blocks"), "s.yaml"), STACK, TOTAL)
    assert "no value saves 25 % of blocks" in str(caught.value)
    assert "and 40 % of blocks" in str(caught.value)  # 600 + 1,800 + 4,800 of 12,000 run at full depth


def test_a_saving_like_another_schedule_grows_alike() -> None:
    schedule = resolve_schedule(load(_constant("like pld"), "s.yaml"), STACK, TOTAL)
    target = kept_grid(load_schedule("pld"), TOTAL, STACK)
    assert kept_grid(schedule, TOTAL, STACK) == pytest.approx(target, rel=2e-9)


def _constant(saving: str) -> str:
    conventions = (
        "depth: {kind: uniform}\ndraw: {kind: bernoulli, per: group, unit: layer}\nrescale: sublayer\nskipped: freeze\n"
    )
    return f"temporal: {{kind: constant, value: {{saving: {saving}}}}}\n{conventions}"


def _named(name: str) -> Schedule:
    if name != "alternate-exact":
        return load_schedule(name)
    return load_schedule(
        "dd-only", sets=["depth={kind: alternate, layers: even}", "draw={kind: exact, per: group, unit: layer}"]
    )


def _deviation(schedule: Schedule, p: np.ndarray) -> float:
    part = p.sum() % 1.0
    return float(np.sqrt(part * (1 - part))) if schedule.draw.kind == "exact" else float(np.sqrt((p * (1 - p)).sum()))


def test_growth_that_does_not_fit_a_stage_is_refused_in_a_forecast() -> None:
    table = load_schedule("dd-only", sets=["depth={kind: table, values: [1, 1, 1, 1, 1, 0.5]}"])
    assert expect(table, TOTAL, 6).layers == 6
    with pytest.raises(
        ConfigError, match="a table of 6 layers, for a model of 1 layers, as it is in a stage of growth"
    ):
        expect(table, TOTAL, LayersAt((0, 5), (1, 6)))
