"""Temporal families: a contract that every member keeps, tables of known values, the formula of the paper (Zhang & He,
2020) step by step.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pld_search.frozen import canonical_json
from pld_search.schedules.temporal import (
    Constant,
    Cosine,
    Exponential,
    ExponentialGrowth,
    Linear,
    Phases,
    Polynomial,
    Stages,
    Table,
    Temporal,
)

HALF_AND_HALF: list[dict[str, Any]] = [
    {"until": "50 %", "temporal": {"kind": "cosine", "start": 1.0, "end": 0.8}},
    {"until": "100 %", "temporal": {"kind": "constant", "value": 0.4}},
]
BACK_AGAIN = [HALF_AND_HALF[1] | {"until": "50 %"}, HALF_AND_HALF[0] | {"until": "100 %"}]
MONOTONE = [
    Constant(value=0.3),
    Linear(start=1.0, end=0.2),
    Linear(start=0.2, end=1.0),
    Exponential(start=1.0, end=0.5, rate="100 / run"),
    Exponential(start=0.4, end=0.9, rate="3 / run"),
    Exponential(start=1.0, end=0.5, rate="0.001 / step"),
    Exponential(start=1.0, end=0.5, rate="5 / run", lag="20 steps"),
    Exponential(start=0.2, end=0.5, rate="0.01 / step", lag="1 step"),
    ExponentialGrowth(start=1.0, end=0.9),
    ExponentialGrowth(start=0.5, end=1.0),
    Cosine(start=1.0, end=0.25),
    Cosine(start=0.25, end=1.0),
    Polynomial(start=1.0, end=0.5, power=3.0),
    Polynomial(start=0.3, end=1.0, power=0.5),
    Stages(stages={"0 %": 1.0, "30 %": 0.75, "60 %": 0.5}),
    Stages(stages={"0 %": 0.25, "250 steps": 0.5}),
    Table(points={"0 %": 1.0, "10 %": 0.9, "100 %": 0.5}, between="linear"),
    Table(points={"0 %": 0.5, "30 %": 0.6, "60 %": 1.0}, between="step"),
    Phases(phases=HALF_AND_HALF),
]
MEMBERS = [
    *MONOTONE,
    Stages(stages={"0 %": 1.0, "30 %": 0.5, "60 %": 0.75}),
    Table(points={"0 %": 0.5, "50 %": 0.2, "100 %": 1.0}, between="linear"),
    Phases(phases=BACK_AGAIN),
]
TOTAL = 1000


@pytest.mark.parametrize("family", MEMBERS, ids=repr)
class TestEveryFamily:
    def test_shape_and_range(self, family: Any) -> None:
        steps = np.linspace(0, TOTAL, 12).reshape(3, 4)
        theta = family.theta(steps, TOTAL)
        assert theta.shape == (3, 4)
        assert theta.dtype == np.float64
        assert ((theta >= family.lowest - 1e-12) & (theta <= 1)).all()

    def test_it_never_turns_between_two_bends(self, family: Any) -> None:
        for total in (400, TOTAL):
            bends = family.bends(total)
            assert all(0 <= step <= total for step in bends)
            pieces = list(pairwise(sorted({0, total, *bends})))
            assert pieces
            for first, last in pieces:
                change = np.diff(family.theta(np.arange(float(first), last), total))
                assert (change >= -1e-15).all() or (change <= 1e-15).all()

    def test_a_step_depends_on_itself_alone(self, family: Any) -> None:
        steps = np.arange(0.0, TOTAL + 1)
        whole = family.theta(steps, TOTAL)
        assert [float(family.theta(np.array(t), TOTAL)) for t in (0.0, 17.0, 1000.0)] == [
            whole[0],
            whole[17],
            whole[1000],
        ]

    def test_round_trip(self, family: Any) -> None:
        again = TypeAdapter(Temporal).validate_python(family.model_dump(mode="json"))
        assert again == family
        assert type(again) is type(family)

    def test_json_keeps_the_order(self, family: Any) -> None:
        assert TypeAdapter(Temporal).validate_json(canonical_json(family)) == family
        assert hash(TypeAdapter(Temporal).validate_json(canonical_json(family))) == hash(family)

    def test_a_run_of_any_length_is_covered(self, family: Any) -> None:
        for total in (1, 2, 3, 7, 999):
            if not family.misfits(total):
                theta = family.theta(np.arange(0.0, total + 1), total)
                assert ((theta >= family.lowest - 1e-12) & (theta <= 1)).all()

    def test_progress_decides_unless_a_rate_is_per_step(self, family: Any) -> None:
        short, long = (
            family.theta(np.array([100.0, 250.0, 610.0]), 1000),
            family.theta(np.array([1000.0, 2500.0, 6100.0]), 10_000),
        )
        assert (np.abs(short - long) < 1e-15).all() == (not family.per_step)


def test_of_points_that_a_short_run_rounds_to_one_step_the_last_counts() -> None:
    points = {"0 %": 1.0, "50 %": 0.9, "55 %": 0.3, "100 %": 0.5}
    line = Table(points=points, between="linear").theta(np.array([0.0, 1.0, 2.0]), 2)
    steps = Table(points=points, between="step").theta(np.array([0.0, 1.0, 2.0]), 2)
    assert line.tolist() == steps.tolist() == [1.0, 0.3, 0.5]


@pytest.mark.parametrize("family", MONOTONE, ids=repr)
def test_is_monotone(family: Any) -> None:
    change = np.diff(family.theta(np.arange(0.0, TOTAL + 1), TOTAL))
    assert (change <= 0).all() or (change >= 0).all()


@pytest.mark.parametrize("kind", [Linear, ExponentialGrowth, Cosine])
def test_both_directions_mirror_each_other(kind: Any) -> None:
    steps = np.linspace(0, TOTAL, 21)
    np.testing.assert_allclose(
        kind(start=1.0, end=0.4).theta(steps, TOTAL) + kind(start=0.4, end=1.0).theta(steps, TOTAL), 1.4, atol=1e-15
    )


@pytest.mark.parametrize(
    ("family", "step", "theta"),
    [
        (Constant(value="73 %"), 0, 0.73),
        (Constant(value=0.73), TOTAL, 0.73),
        (Linear(start=1.0, end=0.5), 0, 1.0),
        (Linear(start=1.0, end=0.5), 500, 0.75),
        (Linear(start=1.0, end=0.5), 999, 0.5005),
        (Linear(start=1.0, end=0.5), TOTAL, 0.5),
        (Exponential(start=1.0, end=0.5, rate="100 / run"), 0, 1.0),
        (Exponential(start=1.0, end=0.5, rate="100 / run"), 10, 0.5 + 0.5 / math.e),
        (Exponential(start=0.5, end=1.0, rate="2 / run"), TOTAL, 1 - 0.5 * math.exp(-2)),
        (Exponential(start=1.0, end=0.5, rate="0.001 / step", lag="1 step"), 0, 1.0),
        (Exponential(start=1.0, end=0.5, rate="0.001 / step", lag="1 step"), 1, 1.0),
        (Exponential(start=1.0, end=0.5, rate="0.001 / step", lag="1 step"), 101, 0.5 + 0.5 * math.exp(-0.1)),
        (ExponentialGrowth(start=1.0, end=0.9), 500, 1 - 0.1 * (math.sqrt(2) - 1)),
        (ExponentialGrowth(start=1.0, end=0.9), TOTAL, 0.9),
        (Cosine(start=1.0, end=0.5), 250, 0.75 + 0.25 * math.sqrt(0.5)),
        (Cosine(start=0.5, end=1.0), 500, 0.75),
        (Cosine(start=1.0, end=0.5), TOTAL, 0.5),
        (Polynomial(start=1.0, end=0.5, power=2.0), 900, 0.505),
        (Polynomial(start=0.5, end=1.0, power=0.5), 750, 0.75),
        (Stages(stages={"0 %": 0.25, "30 %": 0.5}), 299, 0.25),
        (Stages(stages={"0 %": 0.25, "30 %": 0.5}), 300, 0.5),
        (Stages(stages={"0 %": 0.25, "250 steps": 0.5}), 249, 0.25),
        (Stages(stages=[["0 %", 0.25], ["100 %", 0.5]]), TOTAL, 0.5),
        (Table(points={"0 %": 1.0, "25 %": 0.5, "100 %": 0.8}, between="linear"), 625, 0.65),
        (Table(points={"0 %": 1.0, "25 %": 0.5, "100 %": 0.8}, between="step"), 625, 0.5),
        (Phases(phases=HALF_AND_HALF), 250, 0.9),
        (Phases(phases=HALF_AND_HALF), 499, 0.8 + 0.1 * (1 + math.cos(math.pi * 499 / 500))),
        (Phases(phases=HALF_AND_HALF), 500, 0.4),
        (Phases(phases=BACK_AGAIN), TOTAL, 0.8),
    ],
)
def test_values(family: Any, step: int, theta: float) -> None:
    assert family.theta(np.array(float(step)), TOTAL) == pytest.approx(theta, abs=1e-15)


@pytest.mark.parametrize(("step", "theta"), [(100, 0.952), (500, 0.803), (1000, 0.684), (2000, 0.568), (4605, 0.505)])
def test_deepspeeds_gamma_as_in_the_facts(step: int, theta: float) -> None:
    family = Exponential(start=1.0, end=0.5, rate="0.001 / step")
    assert float(family.theta(np.array(float(step)), 200_000)) == pytest.approx(theta, abs=5e-4)


@pytest.mark.parametrize("total", [1_000, 37_777, 200_000])
def test_the_papers_formula_at_a_thousand_steps(total: int) -> None:
    family, floor, gamma = Exponential(start=1.0, end=0.5, rate="100 / run"), 0.5, 100 / total
    steps = np.linspace(0, total, 1000).round()
    expected = [(1 - floor) * math.exp(-gamma * t) + floor for t in steps.tolist()]
    assert len(expected) == 1000
    np.testing.assert_allclose(family.theta(steps, total), expected, rtol=1e-13)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**6))
def test_linear_meets_both_ends(start: int, end: int, total: int) -> None:
    family = Linear(start=start / 10**9, end=end / 10**9)
    assert family.theta(np.array([0.0, float(total)]), total) == pytest.approx([family.start, family.end], abs=1e-15)


@pytest.mark.parametrize(
    ("tree", "word"),
    [
        ({"kind": "constant"}, "value"),
        ({"kind": "constant", "value": 1.2}, "value"),
        ({"kind": "linear", "start": 1.0}, "end"),
        ({"kind": "exponential", "start": 1.0, "end": 0.5, "rate": 100}, "unit is required"),
        ({"kind": "exponential", "start": 1.0, "end": 0.5}, "rate"),
        ({"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "1 / run", "theta": 0.5}, "theta"),
        ({"kind": "cosine", "start": 1.0}, "end"),
        ({"kind": "cosine", "start": 1.0, "end": 0.5, "power": 2}, "power"),
        ({"kind": "linear", "start": 1.0, "end": 0.5, "lag": "1 step"}, "lag"),
        ({"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "1 / run", "lag": "0 steps"}, "1 or more"),
        ({"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "1 / run", "lag": 1}, "unit is required"),
        ({"kind": "polynomial", "start": 1.0, "end": 0.5, "power": 0}, "power"),
        ({"kind": "sigmoid", "start": 1.0, "end": 0.5}, "sigmoid"),
        ({"kind": "stages", "stages": {}}, "beginning of the run is not covered"),
        ({"kind": "stages", "stages": {"10 %": 1.0, "50 %": 0.5}}, "beginning of the run is not covered"),
        ({"kind": "stages", "stages": {"0 %": 1.0, "50 %": 0.5, "30 %": 0.7}}, "out of order: it must come after 50 %"),
        ({"kind": "stages", "stages": {"0 %": 1.0, "50 %": 0.5, "50.0 %": 0.7}}, "out of order"),
        ({"kind": "stages", "stages": {"0 %": 1.0, "50": 0.5}}, "a share lies in"),
        ({"kind": "stages", "stages": {"0 %": 1.5}}, "a share lies in"),
        ({"kind": "stages", "stages": [["0 %", 1.0], ["20 %"]]}, "Field required"),
        ({"kind": "table", "points": {"0 %": 1.0, "50 %": 0.5}, "between": "linear"}, "end of the run is not covered"),
        ({"kind": "table", "points": {"0 %": 1.0, "100 %": 0.5}}, "between"),
        ({"kind": "phases", "phases": HALF_AND_HALF[:1]}, "at least 2"),
        (
            {"kind": "phases", "phases": [HALF_AND_HALF[0], HALF_AND_HALF[1] | {"until": "90 %"}]},
            "the last phase ends at",
        ),
        ({"kind": "phases", "phases": [*HALF_AND_HALF, HALF_AND_HALF[1]]}, "out of order"),
        ({"kind": "phases", "phases": [HALF_AND_HALF[0] | {"until": "0 steps"}, HALF_AND_HALF[1]]}, "no length"),
        (
            {
                "kind": "phases",
                "phases": [
                    HALF_AND_HALF[0],
                    {"until": "100 %", "temporal": {"kind": "phases", "phases": HALF_AND_HALF}},
                ],
            },
            "phases",
        ),
        ({"value": 1.0}, "kind"),
    ],
)
def test_what_is_refused(tree: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        TypeAdapter(Temporal).validate_python(tree)


@pytest.mark.parametrize(
    ("family", "total", "path", "why"),
    [
        (Stages(stages={"0 %": 1.0, "300 steps": 0.5}), 200, ("stages", "300 steps"), "outside a run of 200 steps"),
        (
            Stages(stages={"0 %": 1.0, "50 %": 0.5, "300 steps": 0.7}),
            1000,
            ("stages", "300 steps"),
            "must come after 50 %",
        ),
        (
            Table(points={"0 %": 1.0, "300 steps": 0.5, "20 %": 0.7, "100 %": 1.0}, between="linear"),
            1000,
            ("points", "20 %"),
            "must come after 300 steps",
        ),
        (
            Phases(phases=[HALF_AND_HALF[0] | {"until": "300 steps"}, HALF_AND_HALF[1]]),
            200,
            ("phases", 0, "until"),
            "outside a run of 200 steps",
        ),
        (
            Phases(
                phases=[
                    {"until": "50 %", "temporal": {"kind": "stages", "stages": {"0 %": 1.0, "60 steps": 0.5}}},
                    HALF_AND_HALF[1],
                ]
            ),
            100,
            ("phases", 0, "temporal", "stages", "60 steps"),
            "outside a run of 50 steps",
        ),
    ],
)
def test_places_in_steps_must_lie_in_the_run(family: Any, total: int, path: tuple[Any, ...], why: str) -> None:
    ((found, reason, _),) = family.misfits(total)
    assert found == path
    assert why in reason
    assert any(family.misfits(longer) == [] for longer in (500, 3000))
    assert family.per_step


def test_places_that_a_short_run_rounds_together() -> None:
    table = Table(points={"0 %": 1.0, "1 %": 0.9, "2 %": 0.8, "100 %": 0.5}, between="linear")
    assert table.theta(np.array([0.0, 1.0, 2.0]), 2).tolist() == pytest.approx([0.8, 0.65, 0.5])
    phases = Phases(phases=[HALF_AND_HALF[0] | {"until": "1 %"}, HALF_AND_HALF[1]])
    assert phases.theta(np.array([0.0, 1.0]), 1).tolist() == [0.4, 0.4]
