"""Coverage of predictions whose honesty is known."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.statistics.calibration import LEVELS, calibration


def test_honest_predictions_are_covered_and_proud_ones_are_not() -> None:
    random = np.random.default_rng(0)
    means, sds = random.standard_normal(2000), 0.5 + random.random(2000)
    truths = means + sds * random.standard_normal(2000)
    honest, proud = calibration(means, sds, truths), calibration(means, sds / 3, truths)
    assert honest is not None
    assert proud is not None
    assert tuple(each.level for each in honest.coverage) == LEVELS
    for one, other in zip(honest.coverage, proud.coverage, strict=True):
        assert one.share == pytest.approx(one.level, abs=0.04)
        assert one.low <= one.level <= one.high
        assert other.share < other.low


def test_errors_are_truth_minus_mean() -> None:
    found = calibration([1.0, 2.0], [1.0, 1.0], [1.5, 1.0])
    assert found is not None
    assert (found.n, found.bias) == (2, -0.25)
    assert found.error == pytest.approx((1.25 / 2) ** 0.5)


def test_nothing_predicted_is_nothing_said() -> None:
    assert calibration([], [], []) is None
