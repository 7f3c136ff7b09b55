"""The schedule as a value: nothing by default, every field matters, keep probabilities on the grid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pld_search.errors import ConfigError
from pld_search.frozen import canonical_json
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule
from tests.schedules.examples import INDICES, PLD, constant, schedule


@pytest.mark.parametrize("field", ["temporal", "depth", "draw", "rescale", "skipped"])
def test_every_convention_must_be_named(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Schedule.model_validate({name: value for name, value in PLD.items() if name != field})


@pytest.mark.parametrize("inner", ["per", "unit"])
def test_every_convention_of_the_draw_must_be_named(inner: str) -> None:
    with pytest.raises(ValidationError, match=inner):
        schedule(draw={name: value for name, value in PLD["draw"].items() if name != inner})


@pytest.mark.parametrize(
    "changes",
    [
        {"rescale": "half"},
        {"rescale": None},
        {"skipped": "drop"},
        {"draw": {**PLD["draw"], "kind": "systematic"}},
        {"draw": {**PLD["draw"], "per": "sequence"}},
        {"draw": {**PLD["draw"], "strata": 4}},
        {"draw": {**PLD["draw"], "per": "sequence", "strata": 1}},
        {"extra": 1},
    ],
    ids=str,
)
def test_what_is_not_a_member_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schedule(**changes)


def test_round_trip_and_equality() -> None:
    first = schedule(name="pld")
    again = Schedule.model_validate_json(canonical_json(first))
    assert again == first
    assert hash(again) == hash(first)
    assert canonical_json(again) == canonical_json(first)
    with pytest.raises(ValidationError, match="frozen"):
        first.rescale = "none"  # type: ignore[misc]


CHANGES: list[dict[str, Any]] = [
    {"temporal": {**PLD["temporal"], "start": 0.9}},
    {"temporal": {**PLD["temporal"], "end": 0.6}},
    {"temporal": {**PLD["temporal"], "rate": "50 / run"}},
    {"temporal": {**PLD["temporal"], "rate": "100 / step"}},
    {"temporal": {"kind": "linear", "start": 1.0, "end": 0.5}},
    {"temporal": {"kind": "linear", "start": 0.5, "end": 1.0}},
    {"temporal": {"kind": "constant", "value": 0.5}},
    {"temporal": {"kind": "constant", "value": 0.6}},
    {"depth": {"kind": "uniform"}},
    {"depth": {"kind": "linear", "index": "(l-1)/L"}},
    {"depth": {"kind": "linear", "index": "(l-1)/(L-1)"}},
    {"rescale": "block"},
    {"rescale": "none"},
]


def test_every_field_changes_the_plan() -> None:
    digests = [Plan(schedule(**change), 0, 500, 6, 1).digest() for change in [{}, *CHANGES]]
    assert len(set(digests)) == len(digests) == len(CHANGES) + 1


def test_a_name_changes_nothing() -> None:
    assert Plan(schedule(name="a", about="b", source="c"), 0, 50, 6).digest() == Plan(schedule(), 0, 50, 6).digest()


def test_pld_equals_the_formula_of_the_paper_at_a_thousand_steps() -> None:
    total, layers, floor = 50_000, 12, 0.5
    steps = np.linspace(0, total, 1000).round()
    keep = schedule().keep_probabilities(steps, total, layers)
    assert keep.shape == (1000, 12)
    for row, step in zip(keep, steps.tolist(), strict=True):
        theta = (1 - floor) * math.exp(-100 / total * step) + floor
        np.testing.assert_allclose(
            row, [1 - layer / layers * (1 - theta) for layer in range(1, layers + 1)], atol=0.5001 / STEPS, rtol=0
        )


@pytest.mark.parametrize(("index", "kept"), list(zip(INDICES, (8.75, 9.25, 9.0), strict=True)))
def test_final_expected_layers(index: str, kept: float) -> None:
    at_end = schedule(depth={"kind": "linear", "index": index}).keep_probabilities(10_000, 10_000, 12)
    assert at_end.sum() == pytest.approx(kept, abs=1e-8)


@settings(deadline=None)
@given(st.floats(1e-6, 1), st.sampled_from(INDICES), st.integers(1, 50))
def test_probabilities_lie_on_the_grid_and_above_zero(theta: float, index: str, layers: int) -> None:
    p = constant(theta, {"kind": "linear", "index": index}).keep_probabilities([0, 3, 10], 10, layers)
    assert p.shape == (3, layers)
    assert ((p > 0) & (p <= 1)).all()
    assert (p * STEPS == np.floor(p * STEPS)).all()


def test_theta_keeps_the_shape_of_the_steps() -> None:
    assert schedule().theta(3, 10).shape == ()
    assert schedule().theta(np.zeros((2, 3)), 10).shape == (2, 3)
    assert schedule().keep_probabilities(np.zeros((2, 3)), 10, 4).shape == (2, 3, 4)
    assert schedule().theta([], 10).shape == (0,)


@pytest.mark.parametrize(("step", "total"), [(-1, 10), (11, 10), (0, 0), (float("nan"), 10)])
def test_steps_outside_the_run(step: float, total: int) -> None:
    with pytest.raises(ValueError, match="steps lie in"):
        schedule().theta(step, total)


def test_a_stated_run_is_for_that_run_only() -> None:
    made_for = schedule(temporal={**PLD["temporal"], "rate": "0.001 / step"}, run="200000 steps")
    assert made_for.theta(4605, 200_000) == pytest.approx(0.505, abs=1e-4)
    assert made_for.misfit(200_000) is None
    with pytest.raises(ConfigError, match="meant for a run of 200000 steps, not 100000 steps"):
        made_for.keep_probabilities(0, 100_000, 12)


def test_the_json_schema_names_every_kind() -> None:
    text = canonical_json(Schedule.model_json_schema())
    for word in ("exponential", "(l-1)/(L-1)", "bernoulli", "100 / run"):
        assert word in text
