"""The grid of 2^-32."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pld_search.schedules.keep_grid import STEPS, from_grid, to_grid


@given(st.floats(0, 1))
def test_rounding_is_half_up_on_the_exact_number(p: float) -> None:
    assert int(to_grid(np.array(p))) == int((Fraction(p) * STEPS + Fraction(1, 2)) // 1)


@given(st.integers(0, STEPS))
def test_the_grid_is_exact_in_float64(steps: int) -> None:
    p = from_grid(np.array(steps, dtype=np.uint64))
    assert Fraction(float(p)) == Fraction(steps, STEPS)
    assert int(to_grid(p)) == steps


def test_clipping_to_the_unit_interval_leaves_the_input_alone() -> None:
    given_ = np.array([-1e-17, 1 + 1e-15, 0.25])
    before = given_.copy()
    assert to_grid(given_).tolist() == [0, STEPS, STEPS // 4]
    assert (given_ == before).all()


def test_a_last_bit_of_exp_does_not_reach_the_grid() -> None:
    p = np.exp(-np.linspace(0.1, 3, 1000))
    assert (to_grid(np.nextafter(p, 0)) == to_grid(np.nextafter(p, 1))).all()
