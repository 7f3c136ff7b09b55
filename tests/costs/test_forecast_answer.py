"""`pld_search.forecast`: against sums over the run, FLOPs by hand, and what it refuses."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pld_search
from pld_search.costs.forecast_answer import forecast
from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError
from pld_search.spaces.load_study import load_study
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.validate import check

EXPERIMENT: dict[str, Any] = {
    "model": {"layers": 6, "hidden": 64, "heads": 4, "intermediate": 128},
    "data": {"train": "demo", "tokenizer": {"train": "wordpiece", "vocabulary": 1000}, "length": 32},
    "batch": {"sequences": 8, "groups": 2},
}


def test_layers_are_sums_over_the_run() -> None:
    keep = load_schedule("pld").keep_probabilities(np.arange(200), 200, 6)
    found = forecast("pld", steps=200, layers=6, groups=3)
    assert found.expected_layers_mean == pytest.approx(keep.sum() / 200)
    assert found.keep_probabilities_mean == pytest.approx(keep.mean(axis=0).tolist())
    assert found.touched_layers_mean == pytest.approx((1 - (1 - keep) ** 3).sum() / 200)
    assert found.saved_block_flops == pytest.approx(1 - keep.mean())


def test_whatever_leads_to_a_schedule(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\ntemporal.end: 0.7\n")
    changed = load_schedule("pld", sets=["temporal.end=0.7"])
    sources: list[Any] = [
        tmp_path / "mine.yaml",
        str(tmp_path / "mine.yaml"),
        {"base": "pld", "temporal.end": 0.7},
        changed,
    ]
    assert len({forecast(source, steps=100, layers=4) for source in sources}) == 1


def test_flops_by_hand() -> None:
    found = forecast("full", steps=10, experiment=EXPERIMENT)
    tokens, hidden = 8 * 32, 64
    block = 3 * 2 * tokens * (4 * hidden * hidden + 2 * 32 * hidden + 2 * hidden * 128)
    head = 3 * 2 * (8 * 5) * hidden * (hidden + 1024)  # 15 % of 32 positions, 1,000 pieces padded to 1,024
    assert (found.block_flops, found.head_flops, found.saved_flops) == (10 * 6 * block, 10 * head, 0)
    half = forecast({"base": "random", "temporal.value": 0.5}, steps=10, experiment=EXPERIMENT)
    assert half.saved_flops == pytest.approx(3 * block / (6 * block + head))
    assert (half.groups, half.tokens) == (2, 10 * tokens)


def test_files_and_names_of_experiments(tmp_path: Path) -> None:
    study = load_study("demo")
    template = check(ExperimentTemplate, {**study.experiment, "schedule": "full"})
    assert stand_in(template).corpus.vocabulary == 1024
    found = forecast("pld", steps=350, experiment="demo")
    assert found.tokens == 350 * 64 * 32
    data = "data: {train: demo, length: 32, tokenizer: {train: wordpiece, vocabulary: 1024}}"
    (tmp_path / "own.yaml").write_text(
        f"model: {{layers: 6, hidden: 64, heads: 4, feed_forward: geglu, intermediate: 168}}\n{data}\nbatch: {{sequences: 64}}\n"
    )
    assert forecast("pld", steps=350, experiment=tmp_path / "own.yaml") == found


def test_growth_counts() -> None:
    grown = forecast(
        "full",
        steps=10,
        experiment={**EXPERIMENT, "growth": {"stages": {"0 %": 3, "50 %": 6}, "weights": "stack", "moments": "copy"}},
    )
    assert grown.existing_layers_mean == 4.5
    assert grown.saved_block_flops == 0.25


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"steps": 0, "layers": 0}, ["steps: out of range", "layers: out of range"]),
        ({"steps": 5}, ["layers=L or experiment=..., one of them"]),
        ({"steps": 5, "layers": 6, "experiment": "demo"}, ["one of them"]),
        ({"steps": 5, "groups": 2, "experiment": "demo"}, ["groups: the groups are the experiment's"]),
        ({"steps": 5, "experiment": "dema"}, ["did you mean demo?"]),
        ({"steps": 5, "experiment": {"model": {"layers": 3}}}, ["model.hidden", "model.heads", "data", "batch"]),
        (
            {"steps": 5, "experiment": {**EXPERIMENT, "model": {"from": "org/name"}}},
            ["model.from: the architecture of a checkpoint"],
        ),
        ({"steps": 5, "experiment": "./nowhere.yaml"}, ["nowhere.yaml"]),
    ],
)
def test_every_problem_at_once(given: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        forecast("pld", **given)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True))


def test_the_docstrings_example() -> None:
    assert doctest.testmod(sys.modules[forecast.__module__]) == (0, 2)


def test_the_room_answers_with_its_function() -> None:
    room, own = (
        [(name, each.kind, each.default) for name, each in inspect.signature(found).parameters.items()]
        for found in (pld_search.forecast, forecast)
    )
    assert room == own
    code = (
        "import pld_search.costs.expected_depth\n"
        "from pld_search import forecast\n"
        "import pld_search, sys\n"
        "assert forecast is pld_search.forecast\n"
        "assert forecast('full', steps=3, layers=2).expected_layers_mean == 2\n"
        "assert pld_search.costs.expected_depth.expect\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
