"""Stretches against a look at every step: exact in short runs, right to a grid step a step in long ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs import stretches as module
from pld_search.costs.expected_depth import expect, kept_grid
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.stretches import stretches
from pld_search.schedules.existing_layers import LayersAt
from pld_search.schedules.library import names

GROWN = LayersAt((0, 300, 600), (3, 6, 12))
LAG = ["temporal.rate=0.01 / step", "temporal.lag=70 steps"]
STAGES = ["temporal={kind: stages, stages: {0 %: 1.0, 301 steps: 0.2, 302 steps: 0.9, 70 %: 0.5}}"]
PHASES = [
    "temporal={kind: phases, phases: [{until: 10 %, temporal: {kind: constant, value: 1.0}},"
    " {until: 100 %, temporal: {kind: table, points: {0 %: 1, 33 %: 0.3, 100 %: 0.6}, between: linear}}]}"
]
CASES: list[tuple[str, list[str]]] = [
    *((name, []) for name in names()),
    ("pld", LAG),
    ("pld", STAGES),
    ("pld", PHASES),
    ("growth-without-sampling", ["temporal={kind: cosine, start: 0.1, end: 1.0}"]),
]


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run counts as long."""
    monkeypatch.setattr(module, "EVERY_STEP", 0)


def brute(schedule: Any, steps: int, layers: LayersAt, begin: int, end: int) -> int:
    return int(schedule.keep_grid(np.arange(begin, end), steps, layers).sum())


def loaded(name: str, sets: list[str], steps: int, layers: LayersAt) -> Any:
    return load_schedule(name, layers=layers, steps=steps, sets=sets)


@pytest.mark.parametrize(("name", "sets"), CASES, ids=str)
@pytest.mark.parametrize("layers", [LayersAt((0,), (12,)), GROWN], ids=["12", "grown"])
def test_a_short_run_is_exact(name: str, sets: list[str], layers: LayersAt) -> None:
    schedule = loaded(name, sets, 900, layers)
    for begin, end in ((0, 900), (299, 601), (899, 900)):
        rows = list(stretches(schedule, 900, layers, begin, end))
        assert sum(int(count.sum()) for _, count in rows) == end - begin
        assert kept_grid(schedule, 900, layers, begin, end) == brute(schedule, 900, layers, begin, end)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize(("name", "sets"), CASES, ids=str)
@pytest.mark.parametrize("layers", [LayersAt((0,), (12,)), GROWN], ids=["12", "grown"])
def test_a_long_run_is_right_to_a_grid_step_a_step(name: str, sets: list[str], layers: LayersAt) -> None:
    steps = 40_000
    schedule = loaded(name, sets, steps, layers)
    for begin, end in ((0, steps), (7, 20_001)):
        ((at, count),) = stretches(schedule, steps, layers, begin, end)
        assert (np.diff(at) > 0).all()
        assert int(count.sum()) == end - begin
        wrong = abs(kept_grid(schedule, steps, layers, begin, end) - brute(schedule, steps, layers, begin, end))
        assert wrong <= (end - begin) * layers.final


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["linear", "cosine", "polynomial", "exponential", "exponential-growth"]),
    *(st.floats(0.05, 1.0),) * 2,
    st.floats(0.1, 90.0),
)
def test_any_curve(kind: str, start: float, end: float, number: float) -> None:
    more = {"polynomial": f", power: {number}", "exponential": f", rate: {number} / run"}.get(kind, "")
    steps, layers = 20_000, LayersAt((0,), (5,))
    schedule = loaded("pld", [f"temporal={{kind: {kind}, start: {start}, end: {end}{more}}}"], steps, layers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EVERY_STEP", 0)
        long = kept_grid(schedule, steps, layers)
    assert abs(long - brute(schedule, steps, layers, 0, steps)) <= steps * layers.final


@pytest.mark.usefixtures("long")
def test_what_is_no_sum_of_theta_is_close() -> None:
    """Spreads and touched layers bend where theta is straight; a part ends where theta has moved by 2^-13."""
    schedule = load_schedule("linear", layers=12, steps=20_000)
    p = schedule.keep_probabilities(np.arange(20_000), 20_000, 12)
    found = expect(schedule, 20_000, 12, groups=4)
    assert found.touched_layers_mean == pytest.approx((1 - (1 - p) ** 4).sum() / 20_000, rel=1e-6)
    assert found.layers_std == pytest.approx(np.sqrt((p * (1 - p)).sum(axis=-1)).mean(), rel=1e-5)


def test_ten_million_steps_are_thousands_of_rows() -> None:
    steps, layers, alike = 10_000_000, LayersAt((0, 3_000_000), (10, 20)), LayersAt((0, 3_000), (10, 20))
    for name in names():
        schedule = loaded(name, [], steps, layers)
        assert sum(len(at) for at, _ in stretches(schedule, steps, layers, 0, steps)) < 150_000
        if not schedule.temporal.per_step:
            short = kept_grid(loaded(name, [], 10_000, alike), 10_000, alike)
            assert kept_grid(schedule, steps, layers) / 1000 == pytest.approx(short, rel=1e-3)
