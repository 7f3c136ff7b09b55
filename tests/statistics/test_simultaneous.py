from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dunnett
from scipy.stats import t as student

from pld_search.statistics.simultaneous import (
    critical_value,
    deviations,
    equivalence_critical_value,
    holm,
    p_of_maximum,
    rounded_down,
)

# Dunnett 1964, table II: two-sided critical values at 95 %, k differences to one control
TABLE = {
    5: (2.57, 3.03, 3.29, 3.48, 3.62, 3.73, 3.82, 3.90, 3.97),
    10: (2.23, 2.57, 2.76, 2.89, 2.99, 3.07, 3.14, 3.19, 3.24),
    20: (2.09, 2.38, 2.54, 2.65, 2.73, 2.80, 2.86, 2.90, 2.95),
    math.inf: (1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69),
}


@pytest.mark.parametrize("freedom", TABLE)
def test_critical_values_are_those_of_dunnetts_table(freedom: float) -> None:
    found = [critical_value(rows, freedom) for rows in range(1, 10)]
    assert found == pytest.approx(TABLE[freedom], abs=0.0051)


def test_the_breaking_strength_of_fabrics() -> None:
    """Dunnett 1955, section 4: a standard process and three others, three fabrics each; s^2 = 19 with 8 d.f.."""
    standard, *others = ([55, 47, 48], [55, 64, 64], [55, 49, 52], [50, 44, 41])
    found = dunnett(*others, control=standard, rng=np.random.default_rng(0))
    error = math.sqrt(19 * 2 / 3)
    for row, p in zip(others, found.pvalue, strict=True):
        difference = np.mean(row) - np.mean(standard)
        assert p_of_maximum(difference / error, 3, 8) == pytest.approx(p, abs=2e-3)
    interval = found.confidence_interval(0.95)
    assert (interval.high[0] - interval.low[0]) / 2 == pytest.approx(critical_value(3, 8) * error, rel=5e-3)


@pytest.mark.parametrize("freedom", [1, 2.5, 14, 200])
def test_one_row_is_students_t(freedom: float) -> None:
    assert critical_value(1, freedom) == pytest.approx(student.ppf(0.975, freedom))
    assert p_of_maximum(2.2, 1, freedom) == pytest.approx(2 * student.sf(2.2, freedom), rel=1e-6)
    assert equivalence_critical_value(1, freedom) == pytest.approx(student.ppf(0.95, freedom))


@pytest.mark.parametrize("freedom", [1, 2, 2.5, 14, 200])
def test_nodes_of_the_deviation_have_the_moments_of_chi(freedom: float) -> None:
    nodes, weights = deviations(freedom)
    assert weights @ nodes**2 == pytest.approx(1, rel=2e-6)
    assert weights @ nodes**4 == pytest.approx(1 + 2 / freedom, rel=2e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 10), st.sampled_from([2.0, 6.0, 30.0]), st.floats(0.1, 0.9))
def test_the_critical_value_lies_between_one_row_and_bonferroni(rows: int, freedom: float, rho: float) -> None:
    found = critical_value(rows, freedom, 0.05, rho)
    assert student.ppf(0.975, freedom) < found < student.ppf(1 - 0.025 / rows, freedom)
    assert found <= critical_value(rows + 1, freedom, 0.05, rho)
    assert p_of_maximum(found, rows, freedom, rho) == pytest.approx(0.05, abs=1e-7)


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_no_mixture_of_equal_and_marginal_rows_errs_more_often_than_alpha(rows: int) -> None:
    """Against draws of the model itself: rows without a difference, at the upper margin and at the lower one."""
    freedom, draws = 6, 200_000
    generator = np.random.default_rng(1)
    noise = generator.standard_normal((draws, rows + 1))
    scale = np.sqrt(generator.chisquare(freedom, draws) / freedom)
    t = (noise[:, 1:] - noise[:, :1]) / math.sqrt(2) / scale[:, None]
    critical, margin = critical_value(rows, freedom), equivalence_critical_value(rows, freedom)
    seen = []
    for equal in range(rows + 1):
        upper = (rows - equal) // 2
        error = (np.abs(t[:, :equal]) > critical).any(1)
        error |= (t[:, equal : equal + upper] < -margin).any(1) | (t[:, equal + upper :] > margin).any(1)
        seen.append(error.mean())
    assert max(seen) == pytest.approx(0.05, abs=0.0015)
    assert critical > margin > student.ppf(0.95, freedom)


def test_holms_example() -> None:
    """Five tests: the least p times 5, the next times 4, ... and never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.9])
    assert holm([0.5, 0.5]) == [1.0, 1.0]


@pytest.mark.parametrize("wrong", [[], [math.nan], [1.5]])
def test_holm_refuses_what_is_no_probability(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="Holm"):
        holm(wrong)


def test_degrees_of_freedom_are_rounded_down() -> None:
    assert [rounded_down(v) for v in (1.0, 2.37, 19.99, 20.7, 5000, math.inf)] == [1.0, 2.3, 19.9, 20, 1000, 1000]


@pytest.mark.parametrize(("rows", "freedom", "alpha"), [(0, 4, 0.05), (2, 0, 0.05), (2, math.nan, 0.05), (2, 4, 1.0)])
def test_what_has_no_critical_value_is_refused(rows: int, freedom: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="needed"):
        critical_value(rows, freedom, alpha)
