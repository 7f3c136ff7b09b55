"""The deterministic sums and the timing of a run, on numbers made by hand."""

import json
import math

import pytest

from pld_search.costs.flops import FlopsAt, StepFlops, flops_at
from pld_search.schedules.micro_batch_gates import Executed
from pld_search.schedules.rising_stages import StagesAt
from pld_search.training.divergence import Observation
from pld_search.training.meter import Meter
from pld_search.training.speed import Speed

FLOPS = StepFlops(attention=60, feed_forward=40, head=30, rest=20)


def meter() -> Meter:
    return Meter(flops_at(FLOPS), layers=4, sizes=StagesAt((0,), (2,)), lengths=StagesAt((0,), (64,)))


def layers(kept: int) -> Executed:
    """Whole layers of two groups of one sequence each."""
    return Executed(kept, kept)


def test_executed_and_saved_flops_from_the_layers_that_ran() -> None:
    run = meter()
    for step, kept in enumerate([8, 5, 3], 1):
        run.observe(Observation(step, 6.0, 1.0), layers(kept))
    executed = 100 * (4 + 2.5 + 1.5) + 3 * 50
    assert run.totals() == {
        "saved/flops": pytest.approx(1 - executed / (3 * 450)),
        "saved/block_flops": pytest.approx(1 - 16 / 24),
        "drop/layers_kept": pytest.approx(8 / 3),
        "progress/tokens": 384.0,
        "progress/tflop": pytest.approx(executed / 1e12),
    }


def test_means_are_over_the_interval_and_over_finite_values() -> None:
    run = meter()
    run.observe(Observation(1, 6.0, math.inf), layers(8))
    run.observe(Observation(2, math.nan, 2.0), layers(4))
    run.observe(Observation(3, 4.0, 4.0), layers(6))
    first = run.take_interval()
    assert (first["train/loss"], first["train/grad_norm"], first["drop/layers_kept"]) == (5.0, 3.0, 3.0)
    run.observe(Observation(4, math.nan, math.nan), layers(8))
    second = run.take_interval()
    assert "train/loss" not in second and "train/grad_norm" not in second
    assert (second["drop/layers_kept"], second["progress/tokens"]) == (4.0, 512.0)


def test_a_meter_cut_in_an_interval_goes_on_as_it_was() -> None:
    straight, first, second = meter(), meter(), meter()
    losses = [6.1, 5.7, 5.3, 5.9, 5.2]
    for step, loss in enumerate(losses, 1):
        straight.observe(Observation(step, loss, loss / 3), layers(step))
        (first if step <= 2 else second).observe(Observation(step, loss, loss / 3), layers(step))
        if step == 2:
            second.restore(json.loads(json.dumps(first.state())))
    assert second.take_interval() == straight.take_interval()
    assert second.totals() == straight.totals()


def test_relative_speed_adds_the_rest_of_a_step_to_both() -> None:
    speed = Speed()
    speed.probe(1.0)  # nothing of its own to compare with yet
    for _ in range(3):
        speed.step(forward_backward=0.08, whole=0.10, tokens=100)
    speed.step(forward_backward=0.04, whole=0.06, tokens=100)
    assert speed.relative() is None
    for seconds in (0.08, 0.09):
        speed.probe(seconds)
    assert speed.relative() == pytest.approx((0.08 + 0.09 + 2 * 0.02) / (2 * ((3 * 0.08 + 0.04) / 4 + 0.02)))
    assert speed.overall()["progress/seconds"] == pytest.approx(0.36)
    assert speed.overall()["speed/tokens_per_second"] == pytest.approx(400 / 0.36)


@pytest.mark.parametrize("disturbed", ["own", "probe"])
def test_a_hiccup_does_not_count_as_depth(disturbed: str) -> None:
    speed = Speed()
    for number in range(6):
        for step in range(16):
            hiccup = disturbed == "own" and (number, step) == (2, 7)
            speed.step(forward_backward=9.0 if hiccup else 0.06, whole=9.01 if hiccup else 0.07, tokens=100)
        speed.probe(5.0 if disturbed == "probe" and number == 3 else 0.08)
    assert speed.relative() == pytest.approx(0.09 / 0.07)


def test_a_slowing_machine_is_compared_with_itself() -> None:
    speed = Speed()
    for number in range(1, 9):
        for _ in range(16):
            speed.step(forward_backward=0.05 * number, whole=0.05 * number, tokens=100)
        speed.probe(0.10 * number)
    assert speed.relative() == pytest.approx(2.0)


def test_the_rates_of_an_interval_are_its_own_and_seconds_add_up_over_attempts() -> None:
    first = Speed()
    first.step(0.1, 0.2, tokens=100)
    first.interval()
    first.probe(0.3)
    second = Speed()
    second.restore(json.loads(json.dumps(first.state())))
    second.step(0.1, 0.4, tokens=100)
    timing = second.interval()
    assert timing["speed/step_ms"] == pytest.approx(400)
    assert timing["progress/seconds"] == pytest.approx(0.6)
    assert second.relative() == pytest.approx((0.3 + 0.1) / (0.1 + 0.1))


def test_each_step_counts_by_its_own_length() -> None:
    longer = StepFlops(attention=300, feed_forward=160, head=120, rest=80)
    run, after = (
        Meter(
            FlopsAt((0, 2), (FLOPS, longer)), layers=4, sizes=StagesAt((0,), (2,)), lengths=StagesAt((0, 2), (64, 256))
        )
        for _ in range(2)
    )
    for step, kept in enumerate([8, 5, 3], 1):
        run.observe(Observation(step, 6.0, 1.0), layers(kept))
    executed = 100 * (4 + 2.5) + 2 * 50 + 460 * 1.5 + 200
    assert run.totals() == {
        "saved/flops": pytest.approx(1 - executed / (2 * 450 + 4 * 460 + 200)),
        "saved/block_flops": pytest.approx(1 - (100 * 6.5 + 460 * 1.5) / (8 * 100 + 4 * 460)),
        "drop/layers_kept": pytest.approx(8 / 3),
        "progress/tokens": 2 * 2 * 64 + 2 * 256,
        "progress/tflop": pytest.approx(executed / 1e12),
    }
    after.restore(json.loads(json.dumps(run.state())))
    assert after.totals() == run.totals()
    assert run.emptied().totals()["progress/tokens"] == 0
    branch = run.emptied()  # it may begin in any stage
    branch.observe(Observation(3, 6.0, 1.0), layers(8))
    assert branch.progress() == {"progress/tokens": 512.0, "progress/tflop": pytest.approx((4 * 460 + 200) / 1e12)}


def test_a_probe_is_compared_with_steps_of_its_own_length() -> None:
    speed = Speed()
    for _ in range(5):
        speed.step(0.01, 0.02, tokens=100)
    speed.other_steps()
    speed.step(0.04, 0.05, tokens=400)
    speed.probe(0.08)
    assert speed.relative() == pytest.approx(0.09 / 0.05)
    assert speed.overall()["speed/tokens_per_second"] == pytest.approx(900 / 0.15)
