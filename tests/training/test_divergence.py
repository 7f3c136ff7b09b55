"""Each way to diverge is found, named and dated; ordinary training is not; the state survives a checkpoint."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.specs.experiment import Divergence
from pld_search.training.divergence import Detector, DivergenceNotice, Observation

RULES = Divergence(nonfinite_steps=3, min_loss_scale=1.0, spike=2.0, spike_steps=4, window=10)
INF, NAN = math.inf, math.nan


def run(observations: list[Observation], detector: Detector | None = None) -> DivergenceNotice | None:
    detector = detector or Detector(RULES)
    return next((verdict for seen in observations if (verdict := detector.observe(seen))), None)


def steps(
    losses: list[float], norms: list[float] | None = None, scales: list[float] | None = None
) -> list[Observation]:
    return [
        Observation(i + 1, loss, norms[i] if norms else 1.0, scales[i] if scales else None)
        for i, loss in enumerate(losses)
    ]


def test_a_falling_loss_with_single_bad_steps_is_training() -> None:
    losses = [6.0 - 0.01 * i for i in range(100)]
    losses[20] = NAN
    losses[40] = 20.0
    norms = [1.0] * 100
    norms[60] = norms[61] = INF
    detector = Detector(RULES)
    assert run(steps(losses, norms), detector) is None
    assert detector.metrics() == {"divergence/skipped_steps": 2.0, "divergence/loss_spikes": 1.0}


@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_loss_that_is_not_finite(bad: float) -> None:
    verdict = run(steps([6.0, 6.0, bad, bad, bad, 6.0], [1, 1, bad, bad, bad, 1]))
    assert verdict == DivergenceNotice(
        "nonfinite_loss", "the loss was not finite for 3 steps", first_bad_step=3, step=5
    )


@pytest.mark.parametrize("bad", [NAN, INF])
def test_gradients_that_are_not_finite(bad: float) -> None:
    verdict = run(steps([6.0] * 5, [1, bad, bad, bad, 1]))
    assert verdict == DivergenceNotice(
        "nonfinite_gradients", "the gradients were not finite for 3 steps", first_bad_step=2, step=4
    )


def test_bad_steps_that_are_not_in_a_row_do_not_add_up() -> None:
    assert run(steps([6.0] * 30, [INF if i % 3 else 1.0 for i in range(30)])) is None


def test_in_fp16_the_scaler_searches_until_its_scale_collapses() -> None:
    scales = [2.0**-i * 16 for i in range(8)]
    verdict = run(steps([6.0] * 8, [INF] * 8, scales))
    assert verdict == DivergenceNotice(
        "loss_scale", "the loss scale collapsed to 0.5, below 1", first_bad_step=1, step=6
    )


def test_a_plateau_above_the_running_median_is_found_even_with_a_short_window() -> None:
    detector = Detector(RULES.model_copy(update={"spike_steps": 30, "window": 5}))
    verdict = run(steps([6.0] * 20 + [8.5] * 40), detector)
    assert verdict == DivergenceNotice(
        "loss_spike",
        "the loss stayed more than 2 nats above its running median for 30 steps",
        first_bad_step=21,
        step=50,
    )
    assert detector.metrics()["divergence/loss_spikes"] == 1.0


def test_lowest_loss_scale_is_kept() -> None:
    detector = Detector(RULES)
    run(steps([6.0] * 3, scales=[8.0, 2.0, 4.0]), detector)
    assert detector.metrics()["divergence/min_loss_scale"] == 2.0


numbers = st.sampled_from([6.0, 6.5, 5.0, 9.0, NAN, INF])


@given(st.lists(st.tuples(numbers, numbers, st.sampled_from([None, 0.5, 8.0])), max_size=40), st.integers(0, 40))
def test_saved_and_restored_anywhere_it_decides_the_same(
    drawn: list[tuple[float, float, float | None]], cut: int
) -> None:
    seen = [Observation(i + 1, *values) for i, values in enumerate(drawn)]
    straight, first, second = Detector(RULES), Detector(RULES), Detector(RULES)
    verdicts = [straight.observe(one) for one in seen]
    halves = [first.observe(one) for one in seen[:cut]]
    second.restore(json.loads(json.dumps(first.state())))
    halves += [second.observe(one) for one in seen[cut:]]
    assert halves == verdicts
    assert second.state() == straight.state()


@given(st.lists(st.floats(0, 20), min_size=2, max_size=60))
def test_the_window_holds_ordinary_losses_only(losses: list[float]) -> None:
    detector = Detector(RULES)
    run(steps(losses), detector)
    assert len(detector.losses) <= RULES.window
    assert all(b <= a + 20 for a, b in pairwise(detector.losses))


# Stuck at chance: ln V = 6.9, 40 steps, a window of 10, from 50 % on


@pytest.mark.parametrize(
    ("losses", "chance", "found"),
    [
        ([7.0] * 40, None, 20),
        ([7.0] * 40, "75 %", 30),
        ([7.0] * 40, "5 steps", 10),  # the window must be full
        ([7.0] * 40, "100 %", None),
        ([7.0] * 18 + [6.8] * 22, None, 20),  # the median of steps 11 .. 20
        ([7.0] * 14 + [6.8] * 26, None, None),
        ([6.9] * 40, None, 20),  # as good as a uniform guess, and no better
        ([6.8] * 40, None, None),
    ],
)
def test_a_loss_that_never_left_chance(losses: list[float], chance: str | None, found: int | None) -> None:
    detector = Detector(RULES.model_copy(update={"chance": chance}), uniform=6.9, total=40)
    verdict = run(steps(losses), detector)
    if found is None:
        assert verdict is None
    else:
        assert verdict == DivergenceNotice(
            "at_chance",
            f"the loss was still that of a uniform guess (6.90) after {found} steps",
            first_bad_step=1,
            step=found,
        )


def test_calm_is_when_no_streak_goes_on() -> None:
    detector = Detector(RULES)
    assert detector.calm
    for loss, norm, calm in (
        (6.0, 1.0, True),
        (NAN, 1.0, False),
        (6.0, 1.0, True),
        (6.0, INF, False),
        (6.0, 1.0, True),
        (9.0, 1.0, False),
    ):
        detector.observe(Observation(1, loss, norm))
        assert detector.calm == calm
