from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.statistics.spread import Spread, pooled, quantile


def test_spread_of_one_and_of_several_values() -> None:
    assert Spread.of([5.0]) == Spread(5.0, None, 1)
    several = Spread.of([5.0, 5.2, 5.4])
    assert (several.mean, several.sd, several.n) == (pytest.approx(5.2), pytest.approx(0.2), 3)


def test_pooled_deviation_weighs_by_degrees_of_freedom() -> None:
    found = pooled([Spread.of([1.0, 3.0]), Spread.of([7.0]), Spread.of([2.0, 2.0, 2.0])])
    assert found is not None
    assert found.freedom == 3
    assert found.sd == pytest.approx(math.sqrt(2.0 / 3))


def test_no_deviation_is_known_where_seeds_agree_exactly_or_no_row_has_two() -> None:
    assert pooled([Spread.of([0.0, 0.0]), Spread.of([0.045])]) is None
    assert pooled([Spread.of([1.0]), Spread.of([2.0])]) is None


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.706), (4, 2.776), (10, 2.228), (100000, 1.960)])
def test_quantiles_of_students_t(freedom: int, expected: float) -> None:
    assert quantile(freedom) == pytest.approx(expected, abs=1e-3)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6), st.floats(-5, 5))
def test_a_shift_of_every_seed_leaves_the_spread(values: list[float], shift: float) -> None:
    before, after = Spread.of(values), Spread.of([value + shift for value in values])
    assert before.sd is not None
    assert after.sd == pytest.approx(before.sd, abs=1e-9)
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-9)
