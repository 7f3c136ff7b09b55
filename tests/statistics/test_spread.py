from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from pld_search.statistics.spread import Difference, Pooled, Spread, difference, paired_p, pooled, quantile


def test_spread_of_one_and_of_several_values() -> None:
    assert Spread.of([5.0]) == Spread(5.0, None, 1)
    several = Spread.of([5.0, 5.2, 5.4])
    assert (several.mean, several.sd, several.n) == (pytest.approx(5.2), pytest.approx(0.2), 3)


def test_pooled_deviation_weighs_by_degrees_of_freedom() -> None:
    found = pooled([Spread.of([1.0, 3.0]), Spread.of([7.0]), Spread.of([2.0, 2.0, 2.0])])
    assert found is not None
    assert found.freedom == 3
    assert found.sd == pytest.approx(math.sqrt(2.0 / 3))


def test_nothing_is_resolved_where_all_seeds_agree_exactly() -> None:
    constant = Spread.of([0.0, 0.0])
    assert pooled([constant, Spread.of([0.045])]) is None
    assert not difference(Spread.of([0.045]), constant, pooled([constant])).resolved


def test_nothing_is_resolved_where_no_row_has_two_seeds() -> None:
    assert pooled([Spread.of([1.0]), Spread.of([2.0])]) is None
    assert difference(Spread.of([9.0]), Spread.of([1.0]), None) == Difference(8.0, None)
    assert not Difference(8.0, None).resolved


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.706), (4, 2.776), (10, 2.228), (100000, 1.960)])
def test_quantiles_of_students_t(freedom: int, expected: float) -> None:
    assert quantile(freedom) == pytest.approx(expected, abs=1e-3)


def test_the_rule_at_its_boundary() -> None:
    spread = Pooled(0.01, 4)
    limit = quantile(4) * 0.01 * math.sqrt(1 / 1 + 1 / 2)
    reference = Spread(5.0, 0.01, 2)
    inside = difference(Spread(5.0 + 0.999 * limit, None, 1), reference, spread)
    outside = difference(Spread(5.0 - 1.001 * limit, None, 1), reference, spread)
    assert inside.half_width == pytest.approx(limit)
    assert (inside.resolved, outside.resolved) == (False, True)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=6), st.floats(-5, 5))
def test_a_shift_of_every_seed_leaves_the_spread(values: list[float], shift: float) -> None:
    before, after = Spread.of(values), Spread.of([value + shift for value in values])
    assert before.sd is not None
    assert after.sd == pytest.approx(before.sd, abs=1e-9)
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(4, 6), st.floats(4, 6)), min_size=2, max_size=8))
def test_the_paired_test_is_scipys(pairs: list[tuple[float, float]]) -> None:
    found = paired_p(pairs)
    deviations = [one - other for one, other in pairs]
    if max(deviations) - min(deviations) > 1e-6:
        assert found == pytest.approx(float(ttest_rel([a for a, _ in pairs], [b for _, b in pairs]).pvalue), rel=1e-6)


def test_pairs_that_all_differ_alike_have_no_test() -> None:
    assert paired_p([(1.0, 2.0)]) is None
    assert paired_p([(5.1, 5.0), (5.2, 5.1), (5.3, 5.2)]) is None
