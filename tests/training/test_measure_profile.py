"""The short measurement of an architecture: its arithmetic on made-up clocks, and once for real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.profile import architecture_of, setting_of
from pld_search.host.hardware import cpu_name
from pld_search.schedules.gates import Gates, SublayerGates
from pld_search.specs.execution import Execution
from pld_search.training import measure_profile as module
from pld_search.training.measurable import measurable
from pld_search.training.measure_profile import KINDS, Kind, Reduced, kind_of, measure, solve
from tests.training.conftest import Builder

WIDE = {"hidden": 256, "intermediate": 1024}  # wide enough that a layer stands out of the noise of a busy machine
SECONDS = st.floats(1e-6, 10.0)


def taken(attention: float, feed_forward: float, fixed: float, layers: int, reduced: int) -> dict[Kind, float]:
    return {
        kind: fixed
        + attention * (layers if kind.attention else reduced)
        + feed_forward * (layers if kind.feed_forward else reduced)
        for kind in KINDS
    }


@given(SECONDS, SECONDS, SECONDS, st.integers(1, 48))
def test_what_steps_were_made_of_is_found_again(
    attention: float, feed_forward: float, fixed: float, layers: int
) -> None:
    found = solve(taken(attention, feed_forward, fixed, layers, layers // 2), layers, layers // 2)
    size = fixed + layers * (attention + feed_forward)
    assert found == pytest.approx((attention, feed_forward, fixed), abs=1e-9 * size)


def test_noise_is_never_a_negative_cost() -> None:
    backwards = {Kind(True, True): 1.0, Kind(False, False): 2.0, Kind(True, False): 1.5, Kind(False, True): 1.5}
    assert solve(backwards, 4, 2) == (0.0, 0.0, 1.5)
    steep = {Kind(True, True): 4.0, Kind(False, False): 1.0, Kind(True, False): 2.5, Kind(False, True): 2.5}
    assert solve(steep, 4, 2).fixed == 0.0


def test_every_round_has_each_kind_once_in_a_turning_order() -> None:
    rounds = [tuple(kind_of(4 * number + place) for place in range(4)) for number in range(8)]
    assert all(Counter(order) == Counter(KINDS) for order in rounds)
    assert len(set(rounds)) == 4


def test_the_plan_of_a_measurement(experiment: Builder) -> None:
    what = measurable(
        experiment(model={"layers": 5}), len(module.KINDS) * (module.SETTLING_ROUNDS + module.MOST_ROUNDS)
    )
    plan = Reduced(what.schedule, 0, what.steps, 5, 2, 4)
    seen = {kind_of(step): plan.at(step, 1) for step in range(4)}
    assert isinstance(seen[Kind(True, True)], Gates)
    assert seen[Kind(True, True)].keep == (True,) * 5
    assert seen[Kind(False, False)].keep == (True, True, False, False, False)
    mixed = seen[Kind(True, False)]
    assert isinstance(mixed, SublayerGates)
    assert (sum(mixed.attention.keep), sum(mixed.feed_forward.keep)) == (5, 2)


def test_a_real_measurement(
    experiment: Builder, execution: Callable[..., Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    what = experiment(schedule="pld", model=WIDE)
    profile = measure(what, execution(), seconds=0)
    assert profile.seconds_per_layer > 0
    assert (
        min(
            profile.seconds_attention,
            profile.seconds_feed_forward,
            profile.seconds_update,
            profile.seconds_fixed,
            profile.spread,
        )
        >= 0
    )
    assert profile.seconds_start > 0
    assert profile.bytes > 10_000_000  # this process holds torch at least
    assert profile.rounds == module.LEAST_ROUNDS
    assert profile.architecture == architecture_of(what)
    assert profile.setting == setting_of(execution(), cpu_name())
    assert datetime.fromisoformat(profile.measured).tzinfo is not None
    assert type(profile).model_validate_json(profile.model_dump_json()) == profile
    other = architecture_of(experiment(schedule="full", model=WIDE, optimizer={"lr": 1e-2}, steps=77, seed=3))
    assert other == profile.architecture  # schedule, rate, steps and seed are of no account
    assert architecture_of(experiment(model=WIDE, batch={"sequences": 16})) != profile.architecture


def test_one_layer_can_be_measured(experiment: Builder, execution: Callable[..., Execution]) -> None:
    assert measure(experiment(model={**WIDE, "layers": 1}), execution(), seconds=0).seconds_per_layer > 0


def test_a_loss_that_learns_nothing_is_measured_to_the_end(
    experiment: Builder, execution: Callable[..., Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROUNDS", 4)
    stuck = experiment(model={**WIDE, "layers": 1}, divergence={"window": 2, "chance": "5 %"}, on_divergence="lower_lr")
    assert measure(stuck, execution(), seconds=60).rounds > module.LEAST_ROUNDS
