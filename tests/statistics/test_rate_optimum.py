from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.statistics.rate_optimum import Optimum, best_rate
from pld_search.statistics.selection import expected_maximum


@given(st.floats(1.1e-3, 3.9e-3), st.floats(0.01, 2), st.floats(-5, 5))
def test_the_vertex_of_an_exact_parabola(rate: float, curvature: float, height: float) -> None:
    rates = [1e-3, 2e-3, 4e-3]
    values = [height + curvature * (math.log(one) - math.log(rate)) ** 2 for one in rates]
    found = best_rate(rates, values)
    assert found.rate == pytest.approx(rate, rel=6e-3)
    assert found.rate == float(f"{found.rate:.3g}")
    assert (found.value, found.edge) == (pytest.approx(height, abs=1e-9), None)
    mirrored = best_rate(rates, [-value for value in values], less_is_better=False)
    assert (mirrored.rate, mirrored.value) == (found.rate, pytest.approx(-height, abs=1e-9))


def test_a_measured_table() -> None:
    """Deep models at 1e-3, 2e-3, 4e-3: 4.224, 4.024, 4.149; the vertex by hand from three even points in ln(rate)."""
    low, middle, high = 4.224, 4.024, 4.149
    expected = 2e-3 * 2 ** ((low - high) / (2 * (low - 2 * middle + high)))
    found = best_rate([1e-3, 2e-3, 4e-3], [low, middle, high])
    assert found.rate == float(f"{expected:.3g}") == 0.00217
    assert found.value < middle


def test_all_values_are_fitted_and_agree_with_numpy() -> None:
    rates = np.repeat([5e-4, 1e-3, 2e-3, 4e-3], 3)
    values = (np.log(rates) - math.log(1.4e-3)) ** 2 + np.random.default_rng(1).normal(0, 0.1, 12)
    c, b, _ = np.polyfit(np.log(rates), values, 2)
    assert best_rate(list(rates), list(values)).rate == pytest.approx(math.exp(-b / (2 * c)), rel=5e-3)


@pytest.mark.parametrize(
    ("rates", "values", "expected"),
    [
        ([1e-3, 2e-3, 4e-3], [1.0, 2.0, 3.5], (1e-3, "low")),
        ([1e-3, 2e-3, 4e-3], [3.5, 2.0, 1.0], (4e-3, "high")),
        ([1e-3, 2e-3, 4e-3], [1.0, 2.0, 1.5], (1e-3, "low")),  # opens downwards
        ([1e-3, 2e-3], [2.0, 1.0], (2e-3, "high")),
        ([1e-3, 1e-3], [2.0, 1.0], (1e-3, "low")),
    ],
)
def test_an_optimum_at_an_edge_is_marked(
    rates: list[float],
    values: list[float],
    expected: tuple[float, str],
) -> None:
    found = best_rate(rates, values)
    assert (found.rate, found.edge) == expected


def test_rounding_stays_inside_the_rates_tried() -> None:
    rates = [1.0004e-3, 1.0005e-3, 1.0006e-3]
    found = best_rate(rates, [1.0, 0.5, 1.0])
    assert isinstance(found, Optimum)
    assert rates[0] <= found.rate <= rates[-1]


def test_the_vertex_is_less_biased_than_the_least_value() -> None:
    """Six rates with noise alone: the least value is 1.27 deviations too low, the vertex's much less."""
    generator = np.random.default_rng(2)
    rates = list(np.geomspace(5e-4, 4e-3, 6))
    shape = 3 * (np.log(rates) - np.log(rates).mean()) ** 2
    least, vertex = [], []
    for noise in generator.standard_normal((400, 6)):
        least.append(noise.min())
        vertex.append(best_rate(rates, list(shape + noise)).value)
    assert np.mean(least) == pytest.approx(-expected_maximum(6), abs=0.1)
    assert abs(np.mean(vertex)) < 0.5 * expected_maximum(6)


@pytest.mark.parametrize(
    ("rates", "values"),
    [([1e-3], [math.nan]), ([], []), ([1e-3, 2e-3], [1.0]), ([-1e-3], [1.0]), ([math.inf], [1.0])],
)
def test_what_cannot_be_fitted_is_refused(rates: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="need"):
        best_rate(rates, values)
