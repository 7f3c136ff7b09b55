"""DeepSpeed's progressive layer dropping: golden values of its released scheduler, and the import of its configs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import yaml

from pld_search.errors import ConfigError
from pld_search.schedules.deepspeed import REMOVED, import_config
from pld_search.schedules.library import path_of
from pld_search.schedules.plan import Plan
from pld_search.schedules.schedule import Schedule

TOTAL = 200_000
# ProgressiveLayerDrop of DeepSpeed 0.19.6 (deepspeed/runtime/progressive_layer_drop.py), executed as its engine does:
# get_theta() is what the forward of step k reads, update_state(k) comes at the end of step k. {(theta, gamma): {step:
# theta of the forward}}
GOLDEN: dict[tuple[float, float], dict[int, float]] = {
    (0.5, 0.001): {
        0: 1.0,
        1: 1.0,
        2: 0.9995002499166875,
        3: 0.9990009993336666,
        10: 0.9955201893864418,
        100: 0.9528713540117743,
        101: 0.9524187090179798,
        500: 0.8035687468693948,
        1000: 0.6841237523068314,
        2000: 0.5677353431050263,
        4605: 0.5050058543546143,
        4606: 0.5050008510023527,
        10000: 0.5000227226761998,
        49999: 0.5,
    },
    (0.3, 0.0005): {
        0: 1.0,
        1: 1.0,
        2: 0.9996500874854184,
        3: 0.9993003498833624,
        10: 0.9968570768806992,
        100: 0.9661936106955236,
        101: 0.9658605971504997,
        500: 0.8454331965804858,
        1000: 0.7247838006100219,
        2000: 0.5576443988192363,
        4605: 0.37004096849360374,
        4606: 0.37000595676301895,
        10000: 0.30471892177047816,
        49999: 0.30000000000973126,
    },
}


def _config(**block: Any) -> dict[str, Any]:
    return {
        "train_batch_size": 4096,
        "train_micro_batch_size_per_gpu": 64,
        "optimizer": {"type": "Adam"},
        "progressive_layer_drop": block,
    }


def _imported(theta: float, gamma: float) -> Schedule:
    mapping = import_config(_config(enabled=True, theta=theta, gamma=gamma)).schedule
    assert mapping is not None
    return Schedule.model_validate(mapping)


@pytest.mark.parametrize(("theta", "gamma"), GOLDEN)
def test_theta_of_the_released_scheduler(theta: float, gamma: float) -> None:
    golden = GOLDEN[theta, gamma]
    steps = np.array(list(golden))
    np.testing.assert_allclose(_imported(theta, gamma).theta(steps, TOTAL), list(golden.values()), rtol=0, atol=1e-14)


def test_the_library_has_the_same_schedule() -> None:
    shipped = Schedule.model_validate(yaml.safe_load(path_of("pld-deepspeed").read_text()))
    words = {"name": "", "about": "", "source": ""}
    assert shipped.model_copy(update=words) == _imported(0.5, 0.001).model_copy(update=words)


def test_the_loop_of_the_client() -> None:
    """Layer i of L, from 0: kept with 1 - i/L (1 - theta), both residuals divided by 1 - (i + 1)/L (1 - theta)."""
    made, layers = _imported(0.5, 0.001), 12
    plan = Plan(made, 0, TOTAL, layers)
    for step, theta in GOLDEN[0.5, 0.001].items():
        keep = made.keep_probabilities(step, TOTAL, layers)
        gates = plan.gates(step, 0)
        assert gates.where == "sublayer"
        for i in range(layers):
            assert keep[i] == pytest.approx(1 - i / layers * (1 - theta), abs=1e-9)
            assert gates.scale[i] == pytest.approx(
                1 / (1 - (i + 1) / layers * (1 - theta)) if gates.keep[i] else 1.0, abs=1e-8
            )
    assert made.keep_probabilities(TOTAL, TOTAL, layers).sum() == pytest.approx(9.25, abs=1e-6)


def test_the_config_without_the_block() -> None:
    config = _config(enabled=True, theta=0.5, gamma=0.001)
    before = copy.deepcopy(config)
    imported = import_config(config)
    assert config == before
    assert imported.config == {key: value for key, value in before.items() if key != "progressive_layer_drop"}
    imported.config["optimizer"]["type"] = "changed"
    assert config == before


def test_what_differs_is_named() -> None:
    differences = import_config(_config(enabled=True, theta=0.5, gamma=0.001)).differences
    text = "\n".join(f"{item.about}: {item.deepspeed}; {item.here}" for item in differences)
    for word in (
        "9.25",
        "8.75",
        "rescale: deepspeed",
        "resumed run is the same run",
        "`batch.groups: 64` where every GPU draws for itself",
        "4 in DeepSpeed's published run",
        "lag: 1 step",
        REMOVED,
    ):
        assert word in text
    half = import_config({"progressive_layer_drop": {"enabled": True, "theta": 0.7, "gamma": 1e-4}}).differences
    assert any("10.35" in item.deepspeed and "10.05" in item.here for item in half)


@pytest.mark.parametrize("block", [{}, {"enabled": False}, {"enabled": False, "theta": 0.5, "gamma": 0.001}])
def test_a_disabled_block_is_taken_out_too(block: dict[str, Any]) -> None:
    imported = import_config(_config(**block))
    assert imported.schedule is None
    assert "progressive_layer_drop" not in imported.config
    assert [item.about for item in imported.differences] == ["config"]


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        ({"train_batch_size": 8}, ["has no `progressive_layer_drop`"]),
        ({"progressive_layer_drop": None}, ["needs a mapping"]),
        ({"progressive_layer_drop": "auto"}, ["needs a mapping"]),
        (_config(enabled=True), ["theta: DeepSpeed requires this key", "gamma: DeepSpeed requires this key"]),
        (_config(enabled=True, theta=0, gamma=0.001), ["theta: out of range"]),
        (_config(enabled=True, theta=1.2, gamma=-1), ["theta: out of range", "gamma: out of range"]),
        (_config(enabled=True, theta="auto", gamma=True), ["theta: needs a number", "gamma: needs a number"]),
        (
            _config(enabled=True, theta=float("nan"), gamma=float("inf")),
            ["theta: needs a number", "gamma: out of range"],
        ),
        (
            _config(enabled="yes", theta=0.5, gamma=0.001, floor=1),
            ["floor: unknown key", "enabled: needs true or false"],
        ),
    ],
)
def test_what_is_refused(config: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        import_config(config)
    assert len(caught.value.problems) == len(messages)
    for problem, message in zip(caught.value.problems, messages, strict=True):
        assert message in str(problem)
