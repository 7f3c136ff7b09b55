"""Exact resume: 200 steps straight, against kill -9 between checkpoints and a second process that goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pld_search.records.run_record import RunRecord, fold_run
from pld_search.schedules.plan import Plan
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import precision
from pld_search.training.train_run import train

STEPS, EVERY, KILLED = 200, 40, 130
CUT = KILLED - KILLED % EVERY
SCALE = (2.0**26, 20)  # far above what fp16 gradients bear, and growing often: steps are skipped all along
TINY = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}


MODERN = {
    "positions": "rope",
    "feed_forward": "geglu",
    "norm_kind": "rms",
    "attention": {"local": 4, "global_every": 3, "rope_base": 500.0},
}
MUON = {"kind": "muon", "lr": 0.01, "adamw": {"lr": 1e-3}}
OTHERS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp16": {"precision": "fp16"},
    "bf16": {"precision": "bf16"},
    "modern and muon": {"model": MODERN, "optimizer": MUON},
    "modern": {"model": MODERN},
    "muon": {"optimizer": MUON},
    "muon in fp16": {"optimizer": MUON, "precision": "fp16"},
}


@pytest.mark.parametrize(
    "kind", [*list(OTHERS)[:4], *(pytest.param(kind, marks=pytest.mark.soak) for kind in list(OTHERS)[4:])]
)
def test_killed_and_resumed_is_bit_identical(
    kind: str,
    experiment: Callable[..., Experiment],
    execution: Callable[..., Execution],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {**OTHERS[kind], "model": {**TINY, "dropout": 0.1, **OTHERS[kind].get("model", {})}}
    spec = experiment(steps=STEPS, batch={"sequences": 4, "groups": 2}, **changes)
    how = execution(checkpoint_every=EVERY, keep_checkpoints=10, log_points=STEPS, speed_probes=2)
    killed = run_child(spec, how, tmp_path / "cut", kill_at=KILLED, scale=SCALE)
    assert killed == -signal.SIGKILL
    assert fold_run(tmp_path / "cut").state == "running"

    monkeypatch.setattr(precision, "INITIAL_SCALE", SCALE[0])
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", SCALE[1])
    cut = train(spec, how, tmp_path / "cut")
    straight = train(spec, how, tmp_path / "straight")

    assert (cut.resumed_from, cut.attempt, cut.executed_steps) == ([CUT], 2, STEPS + KILLED - CUT)
    assert (straight.resumed_from, straight.executed_steps) == ([], STEPS)
    assert_same_events(cut, straight)
    assert_same_checkpoint(tmp_path / "cut", tmp_path / "straight")
    assert_layers_dropped_in_both_halves(spec)
    if spec.precision == "fp16":
        before, after = (skipped(tmp_path / "straight", step) for step in (CUT, STEPS))
        assert 0 < before < after


@pytest.mark.parametrize("learns", ["mlm+nsp", "electra"])
def test_killed_and_resumed_under_another_objective(
    learns: str, experiment: Callable[..., Experiment], execution: Callable[..., Execution], tmp_path: Path
) -> None:
    """What such a run has beyond masked tokens (pairs, hash words, a second network) comes back, too."""
    steps, every, killed_at = 18, 6, 15
    spec = experiment(steps=steps, model=TINY, batch={"sequences": 4}, pretraining={"kind": learns})
    how = execution(checkpoint_every=every, keep_checkpoints=10, log_points=steps, speed_probes=0)
    assert run_child(spec, how, tmp_path / "cut", kill_at=killed_at) == -signal.SIGKILL
    cut, straight = (train(spec, how, tmp_path / name) for name in ("cut", "straight"))
    assert (cut.resumed_from, straight.resumed_from) == ([killed_at - killed_at % every], [])
    assert len(cut.series["train/loss"]) == steps
    assert cut.series == straight.series
    assert ("valid/nsp_loss" in cut.series, "valid/rtd_auc" in cut.series) == (learns == "mlm+nsp", learns == "electra")
    one, other = (
        load_file(tmp_path / run / "checkpoints" / f"step-{steps:08d}" / "model.safetensors")
        for run in ("cut", "straight")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def run_child(experiment: Experiment, execution: Execution, out: Path, **hooks: Any) -> int:
    settings = {
        "experiment": experiment.model_dump(mode="json"),
        "execution": execution.model_dump(mode="json"),
        "out": str(out),
        **hooks,
    }
    file = out.with_suffix(".json")
    file.write_text(json.dumps(settings))
    return subprocess.run(
        [sys.executable, "-m", "tests.training.child", str(file)], check=False, timeout=120
    ).returncode


def assert_same_events(one: RunRecord, other: RunRecord) -> None:
    assert len(one.series["train/loss"]) == STEPS
    assert one.series == other.series
    deterministic = set(one.series)
    assert {"saved/flops", "progress/tflop", "drop/layers_kept", "valid/loss", "test/loss"} <= deterministic
    assert {name: one.final[name] for name in deterministic} == {name: other.final[name] for name in deterministic}
    assert one.state == other.state == "finished"


def training_of(run: Path, step: int) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(run / "checkpoints" / f"step-{step:08d}" / "training.pt", weights_only=True)
    return loaded


def skipped(run: Path, step: int) -> int:
    return int(training_of(run, step)["telemetry"]["detector"]["skipped"])


def assert_same_checkpoint(one: Path, other: Path) -> None:
    weights = [load_file(run / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors") for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    first, second = (training_of(run, STEPS) for run in (one, other))
    moments = first["optimizer"]["state"], second["optimizer"]["state"]
    assert moments[0].keys() == moments[1].keys()
    assert len(moments[0]) == len(weights[0])
    for index, state in moments[0].items():
        assert all(
            torch.equal(state[name], moments[1][index][name]) for name in state.keys() | moments[1][index].keys()
        )
    for record in (first, second):
        del record["telemetry"]["speed"], record["optimizer"]
    assert first == second


def assert_layers_dropped_in_both_halves(spec: Experiment) -> None:
    plan = Plan(spec.schedule, spec.seed, spec.steps, spec.model.layers, spec.batch.groups)
    touched = plan.kept(np.arange(STEPS)).any(axis=1)
    assert not touched[:CUT].all() and not touched[CUT:].all()
