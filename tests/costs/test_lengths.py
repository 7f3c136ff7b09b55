"""Forecasts of runs whose sequences get longer: against sums over single steps, and budgets at their edge."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.budget import steps_within, steps_within_tokens
from pld_search.costs.flops import run_flops, step_flops
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.run_cost import expected_flops, forecast, full_depth_flops
from pld_search.costs.rung_steps import rung_steps, spent_between
from pld_search.costs.saving import resolve_schedule
from pld_search.errors import ConfigError
from pld_search.specs.experiment import Batch, Data, Experiment
from pld_search.specs.growth import Growth
from pld_search.specs.yaml_io import load
from tests.costs.examples import BATCH, DATA, MODEL
from tests.costs.test_growth import _constant

TOTAL = 2000
STAGES = Data.model_validate({**DATA.model_dump(), "length": {"0 %": 16, "30 %": 32, "90 %": 128}})
BY_STEP = np.repeat([16, 32, 128], [600, 1200, 200])
GROWTH = Growth.model_validate({"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"})


def test_flops_of_a_step_by_hand() -> None:
    """Forward and backward of matrix products: 24 B L h^2 a layer of width 4 h, and 4 B L^2 h of attention's scores and
    sum.
    """
    flops = run_flops(MODEL, STAGES, BATCH, TOTAL)
    assert flops.begins == (0, 600, 1800)
    for length, each in zip((16, 32, 128), flops.each, strict=True):
        tokens, h = 16 * length, 32
        assert each.block == 3 * (24 * tokens * h * h + 4 * tokens * length * h)
        assert each == step_flops(MODEL, DATA.model_copy(update={"length": length}), BATCH)
    assert step_flops(MODEL, STAGES, BATCH) == flops.final


@pytest.mark.parametrize("name", ["full", "pld", "raptr", "exact-halves"])
@pytest.mark.parametrize("growth", [None, GROWTH], ids=["", "grows"])
def test_a_forecast_is_a_sum_over_steps(name: str, growth: Growth | None) -> None:
    schedule = (
        load_schedule("pld", sets=["draw={kind: exact, per: group, unit: sublayer}"])
        if name == "exact-halves"
        else load_schedule(name)
    )
    batch = Batch(sequences=16, groups=2)
    found = forecast(schedule, MODEL, STAGES, batch, TOTAL, growth)
    layers = 6 if growth is None else growth.layers_at(TOTAL)
    kept = schedule.keep_probabilities(np.arange(TOTAL), TOTAL, layers).sum(axis=-1)
    steps = [step_flops(MODEL, STAGES, batch, int(length)) for length in BY_STEP]
    block = sum(each.block * p for each, p in zip(steps, kept, strict=True))
    fixed = sum(each.fixed for each in steps)
    assert found.tokens == 16 * BY_STEP.sum()
    assert found.block_flops == pytest.approx(block, rel=1e-12)
    assert found.attention_flops == pytest.approx(
        sum(each.attention * p for each, p in zip(steps, kept, strict=True)), rel=1e-12
    )
    assert found.attention_flops + found.feed_forward_flops == pytest.approx(found.block_flops)
    assert (found.head_flops, found.rest_flops) == (fixed, 0)
    assert found.total_flops == pytest.approx(block + fixed, rel=1e-12)
    full = sum(each.block * 6 for each in steps)
    assert found.saved_block_flops == pytest.approx(1 - block / full, abs=1e-12)
    assert found.saved_flops == pytest.approx(1 - (block + fixed) / (full + fixed), abs=1e-12)
    assert full_depth_flops(run_flops(MODEL, STAGES, batch, TOTAL), 6, TOTAL) == full + fixed


def test_the_deviation_of_a_step_is_of_its_own_length() -> None:
    schedule = load_schedule("random", sets=["temporal.value=0.5"])
    one = [
        forecast(schedule, MODEL, DATA.model_copy(update={"length": length}), BATCH, TOTAL).step_flops_std
        for length in (16, 32, 128)
    ]
    assert forecast(schedule, MODEL, STAGES, BATCH, TOTAL).step_flops_std == pytest.approx(np.dot(one, [0.3, 0.6, 0.1]))


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 3000), st.sampled_from(["full", "pld", "raptr"]))
def test_the_largest_run_that_flops_buy(steps: int, name: str) -> None:
    schedule, limit = load_schedule(name), full_depth_flops(run_flops(MODEL, STAGES, BATCH, steps), 6, steps)

    def cost(total: int) -> float:
        return expected_flops(schedule, run_flops(MODEL, STAGES, BATCH, total), 6, total)

    found = steps_within(limit, lambda _: schedule, MODEL, STAGES, BATCH)
    assert cost(found) <= limit < cost(found + 1)
    assert found >= steps if name != "full" else found == steps


@given(st.integers(16 * 32, 10**8))
def test_the_largest_run_that_tokens_buy(tokens: int) -> None:
    found = steps_within_tokens(tokens, STAGES, BATCH)
    assert 16 * STAGES.lengths_at(found).sum(found) <= tokens < 16 * STAGES.lengths_at(found + 1).sum(found + 1)
    assert steps_within_tokens(tokens + 512, DATA, BATCH) == (tokens + 512) // 512


def test_a_budget_of_fewer_tokens_than_a_batch() -> None:
    # 30 % of one step is step 0
    with pytest.raises(
        ConfigError, match=r"the budget buys no step; allowed: at least 512 tokens, .*; given: 511 tokens"
    ):
        steps_within_tokens(511, STAGES, BATCH)
    with pytest.raises(
        ConfigError, match=r"budget\.tokens: the budget buys no step; allowed: at least 512, one batch; given: 511"
    ):
        steps_within_tokens(511, DATA, BATCH)


@pytest.mark.parametrize("form", ["25 % of blocks", "25 % of total", "like pld"])
def test_a_saving_counts_each_step_with_the_flops_of_its_length(form: str) -> None:
    tree = load(
        _constant(form).replace("kind: constant, value: {saving", "kind: linear, start: 1.0, end: {saving"), "s.yaml"
    )
    schedule = resolve_schedule(tree, 6, TOTAL, flops=run_flops(MODEL, STAGES, BATCH, TOTAL))
    found, pld = (forecast(each, MODEL, STAGES, BATCH, TOTAL) for each in (schedule, load_schedule("pld")))
    saved = found.saved_flops if form.endswith("total") else found.saved_block_flops
    assert saved == pytest.approx(pld.saved_block_flops if form == "like pld" else 0.25, abs=1e-6)
    # the long steps come last, where more is dropped
    assert found.saved_block_flops > 1 - found.expected_layers_mean / 6 or form == "like pld"


def test_a_saving_at_one_length_is_bit_for_bit_what_it_was() -> None:
    for form in ("25 % of blocks", "25 % of total", "like pld"):
        tree = load(_constant(form), "s.yaml")
        one, two = (
            resolve_schedule(tree, 6, TOTAL, flops=flops)
            for flops in (step_flops(MODEL, DATA, BATCH), run_flops(MODEL, DATA, BATCH, TOTAL))
        )
        assert one == two
        if not form.endswith("total"):
            assert one == resolve_schedule(tree, 6, TOTAL)


def test_rungs_lie_where_their_share_of_flops_is_spent() -> None:
    parts = {
        "batch": BATCH,
        "optimizer": {"lr": 1e-3},
        "precision": "fp32",
        "schedule": load_schedule("pld"),
        "steps": TOTAL,
    }
    spec = Experiment.model_validate({"model": MODEL, "data": STAGES, **parts})
    kept = spec.schedule.keep_probabilities(np.arange(TOTAL), TOTAL, 6).sum(axis=-1)
    steps = [step_flops(MODEL, STAGES, BATCH, int(length)) for length in BY_STEP]
    spent = np.cumsum([each.block * p + each.fixed for each, p in zip(steps, kept, strict=True)])
    rungs = rung_steps(spec, [Decimal("0.1"), Decimal("0.7"), Decimal("0.9")])
    assert rungs == [int(np.searchsorted(spent, share * spent[-1])) + 1 for share in (0.1, 0.7, 0.9)]
    assert 600 < rungs[1] < rungs[2]
    assert spent_between(spec, 500, 1900) == pytest.approx(spent[1899] - spent[499], rel=1e-12)
