from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind, ttest_rel

from pld_search.statistics.blocked import Variance, common_seeds, fit, pairs, satterthwaite, welch, wider_rows

# Box, Hunter and Hunter 1978, Statistics for Experimenters, table 7.1: yield of penicillin, four treatments in five
# blends
PENICILLIN = {
    "A": dict(enumerate([89, 84, 81, 87, 79])),
    "B": dict(enumerate([88, 77, 87, 92, 81])),
    "C": dict(enumerate([97, 92, 87, 89, 80])),
    "D": dict(enumerate([94, 79, 85, 84, 88])),
}


def drawn(seed: int, rows: int, seeds: int) -> dict[str, dict[int, float]]:
    numbers = np.random.default_rng(seed).normal(5, 1, (rows, seeds))
    return {f"row{index}": dict(enumerate(map(float, numbers[index]))) for index in range(rows)}


def test_the_randomised_blocks_of_box_hunter_and_hunter() -> None:
    """Treatment means 84, 85, 89, 86; the residual has 12 degrees of freedom and a mean square of 226 / 12."""
    found = fit(PENICILLIN, list(PENICILLIN), "A")
    assert found.differences == pytest.approx({"B": 1, "C": 5, "D": 2})
    assert found.residual is not None
    assert (found.residual.value, found.residual.freedom) == (pytest.approx(226 / 12), 12)
    assert found.factors == pytest.approx(dict.fromkeys("BCD", 2 / 5))
    assert found.least_correlation == pytest.approx(0.5)
    variance = found.variance("B")
    assert variance is not None
    assert variance.value == pytest.approx(226 / 12 * 2 / 5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 5), st.floats(-100, 100))
def test_an_effect_of_a_seed_changes_nothing(draw: int, rows: int, seeds: int, effect: float) -> None:
    values = drawn(draw, rows, seeds)
    moved = {row: {seed: value + effect * (seed == 1) for seed, value in runs.items()} for row, runs in values.items()}
    before, after = (fit(numbers, list(numbers), "row0") for numbers in (values, moved))
    assert after.differences == pytest.approx(before.differences, abs=1e-9)
    assert before.residual is not None and after.residual is not None
    assert after.residual.value == pytest.approx(before.residual.value, rel=1e-6)
    assert before.residual.freedom == (rows - 1) * (seeds - 1)


def test_holes_are_fitted_by_least_squares() -> None:
    """Against a regression on indicators of systems and seeds, with two runs missing."""
    values = drawn(3, 4, 5)
    del values["row1"][4], values["row3"][0]
    cells = [(row, seed, value) for row, runs in values.items() for seed, value in runs.items()]
    rows = list(values)
    indicators = [[row == one for one in rows[1:]] + [seed == one for one in range(5)] for row, seed, _ in cells]
    design = np.array(indicators, float)
    target = np.array([value for _, _, value in cells])
    solved, squares, *_ = np.linalg.lstsq(design, target)
    inverse = np.linalg.inv(design.T @ design)
    found = fit(values, rows, "row0")
    assert list(found.differences.values()) == pytest.approx(list(solved[:3]))
    assert found.residual is not None
    assert found.residual.freedom == 18 - 8
    assert found.residual.value == pytest.approx(float(squares[0]) / 10)
    assert list(found.factors.values()) == pytest.approx(list(np.diag(inverse)[:3]))


def test_a_seed_of_one_row_alone_says_nothing() -> None:
    values = drawn(4, 3, 3)
    more = {**values, "row1": {**values["row1"], 99: 1000.0}}
    assert fit(more, list(more), "row0") == fit(values, list(values), "row0")


def test_rows_without_a_seed_in_common_are_refused() -> None:
    values = {"full": {0: 1.0, 1: 2.0}, "pld": {2: 1.0, 3: 2.0}}
    with pytest.raises(ValueError, match="no seeds in common: full, pld"):
        fit(values, ["full", "pld"], "full")
    with pytest.raises(ValueError, match="no seeds in common"):
        pairs(values, "pld", "full")


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(wrong: float) -> None:
    values = {"full": {0: 1.0, 1: 2.0}, "pld": {0: wrong, 1: 2.0}}
    with pytest.raises(ValueError, match="pld needs finite values"):
        fit(values, ["full", "pld"], "full")


def test_nothing_estimates_a_spread_from_one_seed_or_from_equal_seeds() -> None:
    assert fit({"a": {0: 1.0}, "b": {0: 2.0}}, ["a", "b"], "a").residual is None
    equal = {"a": {0: 5.1, 1: 5.3}, "b": {0: 5.2, 1: 5.4}}
    assert fit(equal, ["a", "b"], "a").residual is None
    assert pairs(equal, "b", "a").variance is None


def test_own_pairs_are_the_paired_t_test() -> None:
    """Student 1908: additional hours of sleep by two optical isomers, ten patients; t = 4.06."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = pairs({"1": dict(enumerate(first)), "2": dict(enumerate(second))}, "2", "1")
    assert found.variance is not None
    t = found.value / math.sqrt(found.variance.value)
    assert (t, found.variance.freedom) == (pytest.approx(4.0621, abs=1e-4), 9)
    assert t == pytest.approx(ttest_rel(second, first).statistic)
    assert common_seeds({"1": dict(enumerate(first)), "2": {3: 1.0, 40: 2.0}}, ["1", "2"]) == (3,)


def test_satterthwaite_is_welchs_test() -> None:
    one, other = [20.4, 24.2, 15.4, 21.4, 20.2], [20.2, 16.9, 18.5, 17.3, 20.5, 30.1, 8.0]
    found = satterthwaite(*(Variance(float(np.var(x, ddof=1)) / len(x), len(x) - 1) for x in (one, other)))
    scipys = ttest_ind(one, other, equal_var=False)
    assert found.freedom == pytest.approx(scipys.df)
    assert (np.mean(one) - np.mean(other)) / math.sqrt(found.value) == pytest.approx(scipys.statistic)
    assert satterthwaite(Variance(1.0, 4), Variance(0.0, math.inf)) == Variance(1.0, 4)


def test_welch_beside_one_row_is_the_paired_test_and_beside_several_has_the_right_variance() -> None:
    values = drawn(5, 5, 4)
    assert welch(values, "row4", "row0", ["row0"]) == pairs(values, "row4", "row0")
    alike = ["row0", "row1", "row2", "row3"]
    found = welch(values, "row4", "row0", alike)
    numbers = np.array([[values[row][seed] for seed in range(4)] for row in [*alike, "row4"]])
    own = numbers[4] - numbers[:4].mean(0)
    residual = fit({row: values[row] for row in alike}, alike, "row0").residual
    assert residual is not None and found.variance is not None
    expected = ttest_1samp(own, 0).df, own.var(ddof=1) / 4 + (1 - 1 / 4) * residual.value / 4
    assert found.variance.value == pytest.approx(expected[1])
    assert expected[0] <= found.variance.freedom <= 3 + 9


def test_only_a_row_that_varies_more_than_the_others_is_wide() -> None:
    values = drawn(1, 6, 4)
    assert wider_rows(values, list(values)) == frozenset()
    wide = {**values, "row2": {seed: 40 * value for seed, value in values["row2"].items()}}
    assert wider_rows(wide, list(wide)) == {"row2"}
    assert wider_rows(wide, ["row1", "row2"]) == frozenset()
    assert wider_rows({row: {0: 1.0} for row in "abc"}, list("abc")) == frozenset()


def test_rows_are_called_wide_at_the_stated_level() -> None:
    generator = np.random.default_rng(7)
    wrong = 0
    for numbers in generator.standard_normal((300, 5, 3)):
        values = {str(row): dict(enumerate(map(float, runs))) for row, runs in enumerate(numbers)}
        wrong += len(wider_rows(values, list(values), 0.05))
    assert wrong / 1500 == pytest.approx(0.05, abs=0.02)
