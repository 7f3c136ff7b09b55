"""DeepSpeed's object: its numbers to the last digit, as its engine called it."""

from __future__ import annotations

import pytest

from pld_search.compat import ProgressiveLayerDrop
from pld_search.errors import ConfigError
from tests.schedules.test_deepspeed import GOLDEN


@pytest.mark.parametrize(("theta", "gamma"), GOLDEN)
def test_the_released_schedulers_numbers(theta: float, gamma: float) -> None:
    golden, pld = GOLDEN[theta, gamma], ProgressiveLayerDrop(theta, gamma)
    seen = 0
    for step in range(10_001):  # the engine: get_state() before the forward of a step, update_state(step) after it
        if step in golden:
            assert pld.get_theta() == golden[step]
            assert pld.get_state() == {"progressive_layer_drop": True, "pld_theta": golden[step]}
            seen += 1
        pld.update_state(step)
    assert seen == len([step for step in golden if step <= 10_000]) >= 13
    pld.update_state(49_998)
    assert pld.get_theta() == golden[49_999]


def test_defaults_are_deepspeeds() -> None:
    pld = ProgressiveLayerDrop()
    assert (pld.theta, pld.gamma, pld.current_theta) == (0.5, 0.001, 1.0)


@pytest.mark.parametrize(
    ("theta", "gamma", "paths"),
    [
        (0, 0.001, [("theta",)]),
        (1.1, 0, [("theta",), ("gamma",)]),
        (float("nan"), float("inf"), [("theta",), ("gamma",)]),
    ],
)
def test_numbers_outside(theta: float, gamma: float, paths: list[tuple[str, ...]]) -> None:
    with pytest.raises(ConfigError) as caught:
        ProgressiveLayerDrop(theta, gamma)
    assert [problem.path for problem in caught.value.problems] == paths
