"""The share of final losses that early losses explain."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality_trunks import explained


def test_a_line_explains_itself_and_noise_explains_less_than_nothing() -> None:
    random = np.random.default_rng(0)
    columns = random.standard_normal((40, 1))
    assert explained(columns, 3 - 2 * columns[:, 0]) == pytest.approx(1)
    assert explained(columns, random.standard_normal(40)) < 0.1
    assert explained(random.standard_normal((40, 12)), random.standard_normal(40)) < 0


def test_three_points_by_hand() -> None:
    # each end is predicted by the mean of the other two (a constant column adds nothing): errors 1.5, 0, 1.5 of 1, 0, 1
    assert explained(np.ones((3, 1)), np.array([0.0, 1.0, 2.0])) == pytest.approx(1 - 4.5 / 2)
