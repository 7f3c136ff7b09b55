"""Closed forms against brute-force sums, figures worked out by hand, and sampled plans."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.expected_depth import expect, kept_grid
from pld_search.costs.load_schedule import load_schedule
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.plan import Plan

NAMES = ["full", "pld", "random", "td-only", "td-only-literal", "dd-only"]
RISING = ["temporal.kind=linear", "temporal.start=0.3", "temporal.end=1.0"]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), st.booleans(), st.integers(1, 200), st.integers(1, 9), st.integers(1, 3))
def test_a_brute_force_sum(name: str, rising: bool, steps: int, layers: int, groups: int) -> None:
    schedule = load_schedule(name, layers=layers, steps=steps, sets=RISING if rising else [])
    expected = expect(schedule, steps, layers, groups)
    rows = [schedule.keep_probabilities(t, steps, layers).tolist() for t in range(steps)]
    assert len(rows) == steps
    assert kept_grid(schedule, steps, layers) == sum(int(p * STEPS) for row in rows for p in row)
    assert expected.expected_layers_mean == pytest.approx(math.fsum(p for row in rows for p in row) / steps, rel=1e-14)
    assert expected.keep_probabilities_mean == pytest.approx(
        [math.fsum(column) / steps for column in zip(*rows, strict=True)], rel=1e-14
    )
    assert expected.touched_layers_mean == pytest.approx(
        math.fsum(1 - (1 - p) ** groups for row in rows for p in row) / steps, rel=1e-12
    )
    assert expected.layers_std == pytest.approx(
        math.fsum(math.sqrt(math.fsum(p * (1 - p) for p in row)) for row in rows) / steps, rel=1e-9, abs=1e-12
    )
    assert expected.saved_block_flops == pytest.approx(1 - expected.expected_layers_mean / layers, abs=1e-15)
    assert expected.expected_layers_end == pytest.approx(sum(expected.keep_probabilities_end), rel=1e-14)


@pytest.mark.parametrize(("index", "kept"), [("l/L", 8.75), ("(l-1)/L", 9.25), ("(l-1)/(L-1)", 9.0)])
def test_final_layers_of_the_three_conventions(index: str, kept: float) -> None:
    expected = expect(load_schedule("pld", sets=[f"depth.index={index}"]), 10_000, 12)
    assert expected.expected_layers_end == pytest.approx(kept, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("full", 1.0),
        ("pld", 0.732),
        ("random", 0.732),
        ("td-only", 0.732),
        ("td-only-literal", 0.505),
        ("dd-only", 0.729),
    ],
)
def test_shares_kept_over_a_run(name: str, share: float) -> None:
    expected = expect(load_schedule(name, layers=12, steps=10_000), 10_000, 12)
    assert expected.expected_layers_mean / 12 == pytest.approx(share, abs=5e-4)


def test_plds_share_by_its_integral() -> None:
    """theta averages 0.5 + 0.5 (1 - e^-100) / 100 over a run; the mean of l/L over 12 layers is 13/24."""
    theta = 0.5 + 0.5 * (1 - math.exp(-100)) / 100
    assert expect(load_schedule("pld"), 1_000_000, 12).expected_layers_mean / 12 == pytest.approx(
        1 - 13 / 24 * (1 - theta), abs=1e-6
    )
    assert expect(load_schedule("td-only-literal"), 1_000_000, 12).expected_layers_mean / 12 == pytest.approx(
        theta, abs=1e-6
    )


@pytest.mark.parametrize(("groups", "touched"), [(1, 8.75), (2, 10.87), (4, 11.82)])
def test_touched_layers_as_in_the_facts(groups: int, touched: float) -> None:
    assert expect(load_schedule("dd-only"), 100, 12, groups).touched_layers_mean == pytest.approx(touched, abs=0.01)


@pytest.mark.parametrize("sets", [[], RISING], ids=["falling", "rising"])
def test_sampled_plans_agree(sets: list[str]) -> None:
    schedule, steps, layers, groups = load_schedule("pld", sets=sets), 20_000, 12, 3
    expected, kept = (
        expect(schedule, steps, layers, groups),
        Plan(schedule, 5, steps, layers, groups).kept(np.arange(steps)),
    )
    p = schedule.keep_probabilities(np.arange(steps), steps, layers)
    error = np.sqrt((p * (1 - p)).sum() / groups) / steps
    assert abs(kept.sum() / groups / steps - expected.expected_layers_mean) <= 4 * error
    untouched = (1 - p) ** groups
    touched_error = np.sqrt((untouched * (1 - untouched)).sum()) / steps
    assert abs(kept.any(axis=1).sum() / steps - expected.touched_layers_mean) <= 4 * touched_error
    tail = kept[-2000:].sum(axis=-1).std()  # theta hardly moves here
    assert tail == pytest.approx(np.sqrt((p[-1000] * (1 - p[-1000])).sum()), rel=0.05)


def test_a_run_of_equal_probabilities_costs_one_row_and_is_exact() -> None:
    schedule = load_schedule("dd-only")
    assert kept_grid(schedule, 3_000_000, 12) == 3_000_000 * int((schedule.keep_probabilities(0, 1, 12) * STEPS).sum())
