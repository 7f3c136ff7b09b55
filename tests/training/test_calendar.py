"""When a run logs, validates, probes and writes checkpoints."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.specs.layer_series import Analysis
from pld_search.training.calendar import Calendar, analysis_points, branch_calendar, probe_points, validation_points


@pytest.mark.parametrize(
    ("every", "total", "expected"),
    [
        ("25 %", 8, {2, 4, 6, 8}),
        ("25 %", 10, {3, 5, 8, 10}),
        ("30 %", 10, {3, 6, 9, 10}),
        ("10 %", 3, {1, 2, 3}),
        ("4 steps", 10, {4, 8, 10}),
        ("5 steps", 10, {5, 10}),
        ("50 steps", 10, {10}),
        ("0 %", 10, {10}),
        ("0 steps", 10, {10}),
        ("100 %", 10, {10}),
    ],
)
def test_validations(every: str, total: int, expected: set[int]) -> None:
    assert validation_points(every, total) == expected


@given(st.integers(1, 10_000), st.integers(0, 40))
def test_probes_are_evenly_spaced_inside_the_run(total: int, count: int) -> None:
    points = sorted(probe_points(count, total))
    assert all(1 <= point <= total for point in points)
    if total >= 2 * count:
        assert len(points) == count
        assert all(abs(later - earlier - total / count) <= 1 for earlier, later in pairwise(points))


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [(4, 80, {10, 30, 50, 70}), (1, 100, {50}), (2, 10, {3, 8}), (3, 1, {1}), (0, 80, set())],
)
def test_probes_lie_in_the_middles(count: int, total: int, expected: set[int]) -> None:
    assert probe_points(count, total) == expected


@given(st.integers(1, 5000), st.integers(1, 300))
def test_at_most_so_many_progress_events_and_one_at_the_end(total: int, points: int) -> None:
    calendar = Calendar(total, -(-total // points), frozenset({total}), frozenset(), None)
    logged = [done for done in range(1, total + 1) if calendar.progress(done)]
    assert 1 <= len(logged) <= points
    assert logged[-1] == total
    assert [done for done in range(1, total + 1) if calendar.checkpoint(done)] == [total]


def test_layers_are_looked_at_before_the_first_step_too_and_never_in_a_branch() -> None:
    assert analysis_points(None, 10) == set()
    assert analysis_points(Analysis(every="25 %"), 8) == {0, 2, 4, 6, 8}
    whole = Calendar(8, 1, frozenset({8}), frozenset(), None, analysis_points(Analysis(every="4 steps"), 8))
    assert [done for done in range(9) if whole.analysis(done)] == [0, 4, 8]
    assert not any(branch_calendar(whole, 6).analysis(done) for done in range(9))
