"""Quantities: canonical texts, exact rounding, and refusals that state the rule."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.schedules import units

decimals = st.decimals(min_value=Decimal("0"), max_value=Decimal("1000000"), places=6)
rates = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal("1000000"), places=6)
totals = st.integers(1, 10**7)


@given(decimals)
def test_rounding_is_half_up_of_the_exact_decimal(value: Decimal) -> None:
    assert units.round_half_up(value) == int((Fraction(value) + Fraction(1, 2)) // 1)


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.5, 1), (1.5, 2), (2.5, 3), (0.49999999999999994, 0), (2.675, 3), (1, 1)]
)
def test_rounding_at_halves(value: float, rounded: int) -> None:
    assert units.round_half_up(value) == rounded


def test_exact_takes_what_was_written() -> None:
    assert units.exact(0.1) == Decimal("0.1") == units.exact(np.float64(0.1)) == units.exact("0.1")


@given(rates, st.sampled_from(["/ run", "/run", "/ step", "/step", " /  run"]))
def test_rates_have_one_canonical_text(number: Decimal, unit: str) -> None:
    text = units.parse_rate(f"{number}{unit}")
    assert units.parse_rate(text) == text
    assert text == units.parse_rate(f"  {number}   {unit} ")
    assert Decimal(text.split()[0]) == number


@given(rates, totals)
def test_a_rate_a_step_is_a_rate_a_run_times_its_steps(number: Decimal, total: int) -> None:
    assert units.rate_per_run(units.parse_rate(f"{number} / run"), total) == float(number)
    assert units.rate_per_run(units.parse_rate(f"{number} / step"), total) == float(number * total)


@given(st.integers(0, 1000), totals)
def test_a_share_of_a_run_in_steps(tenths: int, total: int) -> None:
    extent = units.parse_extent(f"{Decimal(tenths) / 10} %")
    steps = units.steps_of(extent, total)
    assert abs(Fraction(tenths * total, 1000) - steps) <= Fraction(1, 2)
    assert units.steps_of(units.parse_extent(Decimal(tenths) / 1000), total) == steps
    assert 0 <= steps <= total


@given(st.integers(0, 10**9), totals)
def test_steps_are_taken_as_they_are(steps: int, total: int) -> None:
    assert units.steps_of(units.parse_extent(f"{steps} steps"), total) == steps


@given(st.floats(0, 1))
def test_a_bare_share_is_kept_to_the_last_bit(share: float) -> None:
    if share == 0 or share > 1e-30:
        assert units.parse_share(share) == share


@pytest.mark.parametrize(
    ("parse", "written", "canonical"),
    [
        (units.parse_rate, "1e2 / run", "100 / run"),
        (units.parse_rate, "0.0010/step", "0.001 / step"),
        (units.parse_extent, 0.02, "2 %"),
        (units.parse_extent, "2.50%", "2.5 %"),
        (units.parse_extent, "-0 %", "0 %"),
        (units.parse_extent, "1 step", "1 steps"),
        (units.parse_steps, "200000 steps", "200000 steps"),
        (units.parse_share, "15 %", 0.15),
        (units.parse_share, 1, 1.0),
    ],
)
def test_canonical_forms(parse: Any, written: Any, canonical: Any) -> None:
    assert parse(written) == canonical


@pytest.mark.parametrize(
    ("parse", "written", "rule"),
    [
        (units.parse_rate, "100", "unit is required"),
        (units.parse_rate, 100, "unit is required"),
        (units.parse_rate, "0 / run", "greater than 0"),
        (units.parse_rate, "-1 / run", "greater than 0"),
        (units.parse_rate, "100 %", "not '%'"),
        (units.parse_rate, "100 / epoch", "unknown unit"),
        (units.parse_rate, True, "needs a number"),
        (units.parse_rate, float("nan"), "needs a number"),
        (units.parse_rate, float("inf"), "needs a number"),
        (units.parse_rate, "1e99 / run", "outside"),
        (units.parse_share, 1.5, r"\[0, 1\]"),
        (units.parse_share, "150 %", r"\[0, 1\]"),
        (units.parse_share, "3 steps", "not 'steps'"),
        (units.parse_share, None, "needs a number"),
        (units.parse_extent, 2, r"\[0, 1\]"),
        (units.parse_extent, "2.5 steps", "whole number"),
        (units.parse_extent, "-1 steps", "whole number"),
        (units.parse_steps, "0 steps", "1 or more"),
        (units.parse_steps, 5, "unit is required"),
        (units.seconds_of, "-1 s", "not negative"),
        (units.seconds_of, "1 steps", "not 'steps'"),
    ],
)
def test_refusals_state_the_rule(parse: Any, written: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse(written)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90 s", 90), ("10 min", 600), ("2 h", 7200), (5, 5), ("0.5 min", 30)]
)
def test_seconds(written: Any, seconds: float) -> None:
    assert units.seconds_of(written) == seconds


def test_zero_has_one_sign() -> None:
    assert str(units.parse_share("-0")) == "0.0"


@pytest.mark.parametrize("text", ["\uff11.0", "\u0661\u0662 %", "1\uff10 steps"])
def test_look_alike_digits_are_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs a number with a unit|unknown unit"):
        units.split(text)
