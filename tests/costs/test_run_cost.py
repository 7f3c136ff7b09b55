"""Forecasts of a run: FLOPs from layers, and what sampled plans execute."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.costs.flops import step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.run_cost import executed_std, forecast
from pld_search.errors import ConfigError
from pld_search.schedules.plan import Plan
from pld_search.specs.experiment import Batch
from tests.costs.examples import BATCH, DATA, MODEL


def test_full_depth_saves_nothing() -> None:
    flops, result = step_flops(MODEL, DATA, BATCH), forecast(load_schedule("full"), MODEL, DATA, BATCH, 100)
    assert result.total_flops == 100 * (6 * flops.block + flops.head)
    assert result.saved_flops == result.saved_block_flops == 0
    assert result.tokens == 100 * 16 * 32
    assert result.layers_std == 0
    assert result.touched_layers_mean == result.expected_layers_mean == result.expected_layers_end == 6


@pytest.mark.parametrize("name", ["pld", "random", "dd-only", "td-only-literal"])
def test_parts_add_up(name: str) -> None:
    flops = step_flops(MODEL, DATA, BATCH)
    result = forecast(load_schedule(name, layers=6, steps=777), MODEL, DATA, BATCH, 777)
    assert result.block_flops + result.head_flops + result.rest_flops == pytest.approx(result.total_flops, rel=1e-14)
    assert result.block_flops == pytest.approx(777 * flops.block * result.expected_layers_mean, rel=1e-14)
    share = 6 * flops.block / (6 * flops.block + flops.fixed)
    assert 0 < result.saved_flops < result.saved_block_flops
    assert result.saved_flops == pytest.approx(share * result.saved_block_flops, rel=1e-12)


@pytest.mark.parametrize("groups", [1, 4])
def test_a_sampled_run_executes_what_was_forecast(groups: int) -> None:
    batch, steps, schedule = Batch(sequences=16, groups=groups), 5000, load_schedule("pld")
    flops, result = step_flops(MODEL, DATA, batch), forecast(schedule, MODEL, DATA, batch, steps)
    kept = Plan(schedule, 1, steps, MODEL.layers, groups).kept(np.arange(steps))
    executed = flops.block * kept.sum(axis=-1).mean(axis=-1).sum() + flops.fixed * steps
    p = schedule.keep_probabilities(np.arange(steps), steps, MODEL.layers)
    error = flops.block * np.sqrt((p * (1 - p)).sum() / groups)
    assert abs(executed - result.total_flops) <= 4 * error
    assert error / result.total_flops < 0.01


def test_sampling_error_matches_drawn_layers() -> None:
    schedule = load_schedule("pld")
    keep = schedule.keep_probabilities(np.arange(400), 400, 6)
    totals = (np.random.default_rng(0).random((2000, 400, 6)) < keep).sum(axis=(1, 2))
    flops = step_flops(MODEL, DATA, BATCH)
    assert executed_std(schedule, flops, 6, 400, 1) / flops.block == pytest.approx(totals.std(), rel=0.06)
    assert executed_std(load_schedule("full"), flops, 6, 400, 1) == 0.0


@pytest.mark.parametrize(
    ("kind", "unit", "groups"),
    [
        ("bernoulli", "layer", 1),
        ("bernoulli", "layer", 4),
        ("bernoulli", "sublayer", 1),
        ("bernoulli", "sublayer", 4),
        ("exact", "layer", 1),
    ],
)
def test_steps_deviate_as_drawn_plans_do(kind: str, unit: str, groups: int) -> None:
    """Of a keep rate that stays the same every step is a sample; attention and feed-forward cost differently."""
    sets = ["temporal.value=0.7", "rescale=none", f"draw.kind={kind}", "draw.per=group", f"draw.unit={unit}"]
    schedule, batch, steps = load_schedule("random", sets=sets), Batch(sequences=16, groups=groups), 8000
    flops = step_flops(MODEL, DATA, batch)
    kept = Plan(schedule, 5, steps, MODEL.layers, groups).kept_sublayers(np.arange(steps)).sum(axis=2).mean(axis=1)
    drawn = (kept @ np.array([flops.attention, flops.feed_forward])).std()
    assert flops.feed_forward > 1.2 * flops.attention
    assert forecast(schedule, MODEL, DATA, batch, steps).step_flops_std == pytest.approx(drawn, rel=0.04)
    assert executed_std(schedule, flops, MODEL.layers, steps, groups) == pytest.approx(drawn * steps**0.5, rel=0.04)


def test_a_schedule_for_another_run_is_refused() -> None:
    schedule = load_schedule("pld", sets=["temporal.rate=0.001 / step", "run=2000 steps"])
    assert forecast(schedule, MODEL, DATA, BATCH, 2000).steps == 2000
    with pytest.raises(ConfigError, match="meant for a run of 2000 steps"):
        forecast(schedule, MODEL, DATA, BATCH, 1000)
