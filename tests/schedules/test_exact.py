"""Exact draws: the count stays within 1 of its expectation, marginals are p, and every combination that the count
admits occurs.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.schedules.draw.pivotal import pivotal
from pld_search.schedules.keep_grid import STEPS, to_grid
from pld_search.schedules.plan import Plan
from tests.schedules.examples import constant, schedule

EXACT = {"kind": "exact", "per": "group", "unit": "layer"}
LINEAR = {"kind": "linear", "index": "l/L"}
TEMPORALS: dict[str, dict[str, Any]] = {
    "pld": {"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "100 / run"},
    "falling": {"kind": "linear", "start": 1.0, "end": 0.3},
    "rising": {"kind": "polynomial", "start": 0.2, "end": 1.0, "power": 2},
    "stages": {"kind": "stages", "stages": {"0 %": 0.4, "50 %": 0.9}},
}


@pytest.mark.parametrize("temporal", TEMPORALS)
@pytest.mark.parametrize("groups", [1, 3])
def test_the_running_total_stays_within_one(temporal: str, groups: int) -> None:
    made, total, layers = schedule(temporal=TEMPORALS[temporal], draw=EXACT), 9001, 7
    kept = Plan(made, 5, total, layers, groups).kept(np.arange(total)).sum(axis=-1)
    wanted = made.keep_grid(np.arange(total), total, layers).sum(axis=-1)
    for group in range(groups):
        gap = np.cumsum(kept[:, group].astype(np.int64) * STEPS) - np.cumsum(wanted.astype(np.int64))
        assert np.abs(gap).max() < STEPS
        assert (np.abs(kept[:, group] - wanted / STEPS) < 1).all()
    assert groups == 1 or (kept[:, 0] != kept[:, 1]).any()  # each group counts for itself


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5]), min_size=1, max_size=9),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_a_pivotal_draw_keeps_floor_or_ceiling(p: list[float], seed: int, extra: bool) -> None:
    rng, rows = np.random.default_rng(seed), 40
    grid = np.tile(to_grid(np.array(p)), (rows, 1))
    whole, part = divmod(int(grid[0].sum()), STEPS)
    order, duels = (rng.integers(0, 2**32, (rows, n), dtype=np.uint32) for n in ((len(p) + 1) // 2, len(p)))
    kept = pivotal(grid, order, duels, np.full(rows, extra and part > 0))
    assert (kept.sum(axis=-1) == whole + (extra and part > 0)).all()
    assert kept[:, grid[0] == STEPS].all()
    assert not kept[:, grid[0] == 0].any()


def test_every_pattern_of_six_of_twelve_is_seen() -> None:
    """924 patterns; systematic sampling would give 2. With 20,000 draws the fewest is expected above 5 of 21.6."""
    kept = Plan(constant(0.5, draw=EXACT), 1, 20_000, 12).kept(np.arange(20_000))[:, 0]
    patterns, counts = np.unique(kept @ (1 << np.arange(12)), return_counts=True)
    assert len(patterns) == len(list(itertools.combinations(range(12), 6))) == 924
    assert abs(counts.var() / counts.mean() - 1) < 0.25  # as even as chance makes them: a chi-square of 923 degrees


def test_most_patterns_of_an_uneven_profile_are_seen() -> None:
    """p from 0.9375 down to 0.3125, eight layers, S = 5 exactly: every set of five."""
    values = [1 - 0.0625 - 0.625 * layer / 7 for layer in range(8)]
    made = constant(0.0, {"kind": "table", "values": values}, draw=EXACT)
    assert made.keep_grid(0, 1, 8).sum() == 5 * STEPS
    kept = Plan(made, 1, 20_000, 8).kept(np.arange(20_000))[:, 0]
    assert (kept.sum(axis=-1) == 5).all()
    assert len(np.unique(kept @ (1 << np.arange(8)))) >= 0.9 * len(list(itertools.combinations(range(8), 5)))


@pytest.mark.parametrize("theta", [0.4, 0.5, 0.7, 0.93])
def test_every_pair_can_occur(theta: float) -> None:
    kept = Plan(constant(theta, LINEAR, draw=EXACT), 1, 20_000, 12).kept(np.arange(20_000))[:, 0]
    both = kept.T.astype(np.int64) @ kept
    neither = (~kept).T.astype(np.int64) @ ~kept
    off = ~np.eye(12, dtype=bool)
    assert both[off].min() > 0
    assert theta > 0.9 or neither[off].min() > 0


def test_marginals_are_exact_over_the_starts_of_the_counter() -> None:
    """Across seeds at one step, where the count is a coin and not a rhythm: within four standard errors."""
    made, seeds = schedule(draw=EXACT), 1000
    p = made.keep_probabilities(30, 100, 12)
    rate = np.mean([Plan(made, seed, 100, 12).kept(30)[0, 0] for seed in range(seeds)], axis=0)
    assert (np.abs(rate - p) <= 4 * np.sqrt(p * (1 - p) / seeds)).all()


def test_any_step_is_read_without_the_ones_before() -> None:
    plan = Plan(schedule(draw=EXACT), 7, 20_000, 12, 2)
    far = plan.kept([19_999, 4096, 4095, 0, 12_345])
    whole = np.concatenate([kept for _, kept in Plan(schedule(draw=EXACT), 7, 20_000, 12, 2).blocks()])
    assert (far == whole[[19_999, 4096, 4095, 0, 12_345]]).all()
    assert plan.gates(15_000, 1).keep == tuple(whole[15_000, 1].tolist())


def test_the_order_of_reading_changes_nothing() -> None:
    total = 10_000
    whole = Plan(schedule(draw=EXACT), 7, total, 12).kept(np.arange(total))
    plan = Plan(schedule(draw=EXACT), 7, total, 12)
    parts = [
        np.arange(5000, 5003),
        np.arange(5003, 9000),
        np.arange(0, 10),
        np.arange(10, 4200),
        np.array([9999, 3]),
        np.arange(4200, 4201),
        np.array([], int),
    ]
    for part in parts:
        assert (plan.kept(part) == whole[part]).all()


def test_lowest_runs_the_rounded_sum() -> None:
    made = schedule(
        temporal={"kind": "linear", "start": 0.0, "end": 1.0},
        depth={"kind": "uniform"},
        draw={**EXACT, "kind": "lowest"},
        rescale="none",
    )
    kept = Plan(made, 0, 1000, 6, 2).kept([0, 83, 84, 250, 999])
    # 6 t/1000 rounded half up
    assert kept[:, 0].sum(axis=-1).tolist() == kept[:, 1].sum(axis=-1).tolist() == [0, 0, 1, 2, 6]
    assert (np.diff(kept.astype(int), axis=-1) <= 0).all()
    assert (Plan(made, 1, 1000, 6, 2).kept([84, 250]) == kept[[2, 3]]).all()
    assert made.keep_probabilities([83, 84], 1000, 6).tolist() == [[0.0] * 6, [1.0] + [0.0] * 5]
