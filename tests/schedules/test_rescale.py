"""The five rescales: where a scale goes, what it is, and what it does to the mean of a linear toy network."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from pld_search.schedules.conventions import Rescale
from pld_search.schedules.plan import Gates, Plan
from tests.schedules.examples import constant, schedule

DEEPSPEED = {"kind": "linear", "index": "(l-1)/L"}
ATTENTION, FEED_FORWARD = 0.3, -0.2


def _run(plan: Plan, step: int) -> float:
    """A toy encoder of linear sublayers under the plan's gates: h = x + s a x, y = h + s f h; its output for the input
    1.
    """
    x, gates = 1.0, plan.gates(step, 0)
    for keep, scale in zip(gates.keep, gates.scale, strict=True):
        if keep:
            sub = scale if gates.where == "sublayer" else 1.0
            out = (1 + sub * ATTENTION) * (1 + sub * FEED_FORWARD) * x
            x = x + (scale if gates.where == "block" else 1.0) * (out - x)
    return x


@pytest.mark.parametrize("rescale", get_args(Rescale))
def test_where_a_training_scale_goes(rescale: Any) -> None:
    gates = Plan(schedule(rescale=rescale, depth=DEEPSPEED), 0, 100, 6).gates(60, 0)
    assert gates.where == {"sublayer": "sublayer", "block": "block", "deepspeed": "sublayer"}.get(rescale, "none")
    scaled = [scale for keep, scale in zip(gates.keep[1:], gates.scale[1:], strict=True) if keep]
    assert scaled
    assert all((scale > 1) == (gates.where != "none") for scale in scaled)


def test_deepspeed_divides_by_the_next_layers_probability() -> None:
    """Layer i (from 0) is kept with 1 - i (1 - theta)/L and scaled by 1/(1 - (i + 1)(1 - theta)/L), the always kept
    first one too.
    """
    made = constant(0.5, DEEPSPEED, rescale="deepspeed")
    assert made.keep_probabilities(0, 10, 12).tolist() == pytest.approx([1 - i * 0.5 / 12 for i in range(12)], abs=1e-9)
    seen = set()
    for step in range(10):
        gates = Plan(made, 0, 10, 12).gates(step, 0)
        for i, (keep, scale) in enumerate(zip(gates.keep, gates.scale, strict=True)):
            assert scale == pytest.approx(1 / (1 - (i + 1) * 0.5 / 12) if keep else 1.0, abs=1e-8)
            seen.add((i, keep))
    assert (0, True) in seen
    assert len(seen) > 18


def test_block_is_unbiased_and_sublayer_has_the_known_bias() -> None:
    """With one layer, one draw and p: E[train] - full is a f (1 - p)/p for `sublayer`, 0 for `block` (exactly: 2
    outcomes).
    """
    p, full = 0.5, (1 + ATTENTION) * (1 + FEED_FORWARD)
    means = {}
    for rescale in ("sublayer", "block"):
        plan = Plan(constant(p, rescale=rescale), 0, 64, 1)
        kept, dropped = (
            next(_run(plan, step) for step in range(64) if plan.gates(step, 0).keep == (keep,))
            for keep in (True, False)
        )
        means[rescale] = p * kept + (1 - p) * dropped
    assert means["block"] == pytest.approx(full, abs=1e-12)
    assert means["sublayer"] - full == pytest.approx(ATTENTION * FEED_FORWARD * (1 - p) / p, abs=1e-12)


def test_a_deep_toy_network_over_many_draws() -> None:
    total, depth = 6000, {"kind": "linear", "index": "l/L"}
    full = ((1 + ATTENTION) * (1 + FEED_FORWARD)) ** 4
    plans = {rescale: Plan(constant(0.5, depth, rescale=rescale), 0, total, 4) for rescale in ("block", "sublayer")}
    outputs = {rescale: np.array([_run(plan, step) for step in range(total)]) for rescale, plan in plans.items()}
    error = {rescale: 4 * out.std() / np.sqrt(total) for rescale, out in outputs.items()}
    assert abs(outputs["block"].mean() - full) <= error["block"]
    p = plans["block"].schedule.keep_probabilities(0, total, 4)
    biased = np.prod((1 + ATTENTION) * (1 + FEED_FORWARD) + ATTENTION * FEED_FORWARD * (1 - p) / p)
    assert abs(outputs["sublayer"].mean() - biased) <= error["sublayer"]
    assert full - biased > 3 * error["sublayer"]


def test_evaluation_multiplies_by_p_at_full_depth() -> None:
    made = schedule(rescale="evaluation")
    plan = Plan(made, 0, 100, 6)
    assert plan.gates(60, 0).scale == (1.0,) * 6
    assert plan.evaluation(100) == Gates((True,) * 6, tuple(made.keep_probabilities(100, 100, 6).tolist()), "block")
    halves = Plan(
        schedule(rescale="evaluation", draw={**made.draw.model_dump(), "unit": "sublayer"}), 0, 100, 6
    ).evaluation(0)
    assert halves == Gates((True,) * 6, (1.0,) * 6, "sublayer")


@pytest.mark.parametrize("rescale", ["sublayer", "block", "none", "deepspeed"])
def test_nothing_else_is_scaled_at_evaluation(rescale: str) -> None:
    assert Plan(schedule(rescale=rescale, depth=DEEPSPEED), 0, 100, 6).evaluation(100) is None


def test_every_rescale_has_its_own_digest() -> None:
    digests = {Plan(schedule(rescale=rescale, depth=DEEPSPEED), 0, 50, 4).digest() for rescale in get_args(Rescale)}
    assert len(digests) == len(get_args(Rescale)) == 5
