"""From which run on a search has paid for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.costs.payback import Payback, money


def test_by_hand() -> None:
    found = Payback("pld", search_seconds=1000.0, full_seconds=4000.0, candidate_seconds=3000.0, runs=3)
    assert (found.saved_seconds, found.from_run, found.balance_seconds) == (1000.0, 1, 2000.0)
    assert Payback("pld", 1000.1, 4000.0, 3000.0, 3).from_run == 2
    assert Payback("pld", 5000.0, 4000.0, 3000.0, 3).balance_seconds == -2000.0


@pytest.mark.parametrize("candidate", [4000.0, 5000.0])
def test_a_schedule_that_saves_nothing_never_pays(candidate: float) -> None:
    assert Payback("slow", 1.0, 4000.0, candidate, 3).from_run is None


@given(st.floats(0.0, 1e9), st.floats(1.0, 1e6), st.floats(0.0, 1.0, exclude_max=True))
def test_the_first_run_that_is_enough(search: float, full: float, share: float) -> None:
    found = Payback("any", search, full, share * full, 1)
    if found.from_run is not None:
        assert found.from_run * found.saved_seconds >= search * (1 - 1e-12)
        assert found.from_run == 1 or (found.from_run - 1) * found.saved_seconds <= search * (1 + 1e-12)


def test_money_is_hours_times_the_price() -> None:
    assert money(7200.0, 2.5) == 5.0
    assert money(7200.0, None) is None
