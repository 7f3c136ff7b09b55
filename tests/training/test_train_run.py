"""A whole run: its events, what it refuses, what it survives, and what an Execution may not change."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from typer.testing import CliRunner

from pld_search.cli.main import app
from pld_search.costs.flops import step_flops
from pld_search.errors import CheckpointError, ConfigError, DataError, PldSearchError, StudyError
from pld_search.model.pretrained import checkpoint_digest
from pld_search.records import jsonl
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.schedules.plan import Plan
from pld_search.specs.experiment import Divergence, Experiment
from pld_search.specs.prepared_data import Prepared
from pld_search.training import checkpoint, loop, step
from pld_search.training.attempt import out_of_memory
from pld_search.training.train_run import train
from tests.training.rank_runs import written

Builder = Callable[..., Any]
SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}


def events(out: Path) -> list[dict[str, Any]]:
    return jsonl.read(out / "events.jsonl")


def final_weights(out: Path, steps: int = 20) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoints" / f"step-{steps:08d}" / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    first, second = final_weights(one), final_weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


LOADED = (
    "import runpy, sys; sys.argv = sys.argv[1:]; "
    "runpy.run_module('pld_search.cli.main')['app'](standalone_mode=False); print(*sys.modules)"
)


def test_a_run_loads_neither_transformers_nor_torchs_compiler(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    """They take longer to load than torch, and longer than a small run takes."""
    words = written(tmp_path, experiment(steps=2, model=SMALL), execution())
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "pld-search", *words], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "torch" in loaded and fold_run(tmp_path).state == "finished"
    heavy = {"transformers", "scipy", "sympy", "torch._dynamo", "torch._inductor", "torch.distributed.tensor"}
    assert loaded & heavy == set()


@pytest.mark.parametrize(("fast", "precision"), [(False, "bf16"), (True, "bf16"), (False, "fp32")])
def test_emulated_bf16_is_said_in_one_line(
    fast: bool,
    precision: str,
    experiment: Builder,
    execution: Builder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pld_search.cli.train.fast_bf16", lambda: fast)
    words = written(tmp_path, experiment(steps=1, precision=precision, model=SMALL), execution())
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("bf16 is emulated") == (precision == "bf16" and not fast)


def test_the_events_of_a_run_in_their_order(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=20, model=SMALL)
    record = train(spec, execution(checkpoint_every=5, log_points=4), tmp_path, provenance={"launcher": "local"})
    written = events(tmp_path)
    assert [(event["event"], event["step"]) for event in written] == [
        ("started", 0),
        *[(kind, at) for at in (5, 10, 15, 20) for kind in ("progress", "valid", "checkpoint")],
        ("evaluated", 20),
        ("finished", 20),
    ]
    started = written[0]
    assert Experiment(**started["experiment"]) == spec
    assert (started["digest"], started["seed"]) == (spec.digest, 0)
    assert started["provenance"]["launcher"] == "local"
    assert started["provenance"]["threads"] == 1
    assert started["corpus"]["unigram_entropy"] > 0
    assert record.state == "finished"
    assert {
        "valid/loss",
        "test/loss",
        "train/loss",
        "train/lr",
        "train/grad_norm",
        "drop/theta",
        "drop/layers_kept",
    } <= record.final.keys()
    assert {
        "saved/flops",
        "saved/block_flops",
        "progress/tokens",
        "progress/tflop",
        "divergence/diverged",
    } <= record.final.keys()
    assert {"speed/relative", "speed/step_ms", "speed/tokens_per_second", "progress/seconds"} <= record.timing.keys()
    assert not record.timing.keys() & record.series.keys()
    assert all(math.isfinite(value) for value in record.final.values())


def test_the_executed_flops_are_those_of_the_plan(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=20, model=SMALL)
    final = train(spec, execution(), tmp_path).final
    kept = Plan(spec.schedule, spec.seed, 20, 3, 2).kept(np.arange(20)).mean(axis=1)
    flops = step_flops(spec.model, spec.data, spec.batch)
    assert final["drop/layers_kept"] == pytest.approx(kept.sum() / 20)
    assert final["progress/tflop"] == pytest.approx((flops.block * kept.sum() + 20 * flops.fixed) / 1e12)
    assert final["saved/block_flops"] == pytest.approx(1 - kept.mean())
    assert final["progress/tokens"] == 20 * spec.batch.sequences * spec.data.length


def test_an_ended_run_is_left_as_it_is(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=2, model=SMALL)
    first = train(spec, execution(), tmp_path)
    before = (tmp_path / "events.jsonl").read_bytes()
    assert train(spec, execution(), tmp_path).final == first.final
    assert (tmp_path / "events.jsonl").read_bytes() == before


def test_no_execution_changes_a_bit_of_the_result(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=20, model=SMALL)
    base = train(spec, execution(speed_probes=0, log_points=1), tmp_path / "base")
    assert "speed/relative" not in base.final
    for name, changes in {
        "probes": {"speed_probes": 8, "log_points": 1},
        "checkpoints": {"checkpoint_every": 3, "keep_checkpoints": 1, "log_points": 1},
        "points": {"log_points": 20},
        "seconds": {"checkpoint_seconds": 1e-9, "log_points": 1},
    }.items():
        other = train(spec, execution(**changes), tmp_path / name)
        assert same_weights(tmp_path / "base", tmp_path / name), name
        assert other.final["valid/loss"] == base.final["valid/loss"]
        assert other.final["progress/tflop"] == base.final["progress/tflop"]


def test_another_seed_is_another_result(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(experiment(steps=20, model=SMALL, seed=seed), execution(), tmp_path / str(seed))
    assert not same_weights(tmp_path / "0", tmp_path / "1")


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_training_learns(experiment: Builder, execution: Builder, tmp_path: Path, norm: str) -> None:
    spec = experiment(
        steps=60,
        schedule="full",
        model={**SMALL, "norm": norm, "embedding_std": 0.1, "dropout": 0.0},
        optimizer={"lr": 5e-3},
    )
    losses = [value for _, value in train(spec, execution(), tmp_path).series["valid/loss"]]
    assert losses[-1] < losses[0] - 0.2


def test_a_run_starts_from_the_weights_that_it_names(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    train(experiment(steps=20, model=SMALL), execution(), tmp_path / "first")
    folder = tmp_path / "first" / "checkpoints" / "step-00000020"
    digest = checkpoint_digest(folder)
    spec = experiment(steps=20, model={**SMALL, "checkpoint": digest}, optimizer={"lr": 1e-30})
    with pytest.raises(ConfigError, match="no folder for"):
        train(spec, execution(), tmp_path / "second")
    folders = {**execution().folders, digest: str(folder)}
    train(spec, execution(folders=folders), tmp_path / "second")
    for name, tensor in final_weights(tmp_path / "second").items():
        torch.testing.assert_close(tensor, final_weights(tmp_path / "first")[name])


# What is refused


def test_a_folder_of_another_run_is_refused(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    train(experiment(steps=2, model=SMALL), execution(), tmp_path)
    for other in (experiment(steps=3, model=SMALL), experiment(steps=2, model=SMALL, seed=1)):
        with pytest.raises(ConfigError, match="holds another run"):
            train(other, execution(), tmp_path)


def test_two_writers_are_refused(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(StudyError, match="another process is training here"):
        train(experiment(steps=2), execution(), tmp_path)
    assert events(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "how", "kind", "message"),
    [
        ({}, {"folders": {}}, ConfigError, "no folder for the corpus"),
        ({"model": {"vocabulary": 77}}, {}, DataError, "vocabulary"),
        ({"data": {"tokenizer": "sha256:" + "0" * 64}}, {}, DataError, "tokenizer"),
        ({"optimizer": {"warmup": "30 steps"}}, {}, ConfigError, "longer than the run"),
        ({"data": {"length": 100_000}}, {}, DataError, "too few for one sequence"),
        (
            {"model": {"positions": "learned", "max_length": 16}, "tasks": True},
            {},
            ConfigError,
            r"evaluation\.length: .* at most 16; given: 128",
        ),
        ({}, {"device": "cuda:99"}, ConfigError, "no such device"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    changes: dict[str, Any],
    how: dict[str, Any],
    kind: type[PldSearchError],
    message: str,
    experiment: Builder,
    execution: Builder,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=message) as caught:
        train(experiment(**changes), execution(**how), tmp_path)
    assert caught.value.exit_code == 2
    assert events(tmp_path) == []


def test_a_task_folder_with_something_else_in_it_is_refused(
    experiment: Builder, execution: Builder, prepared: Prepared, tmp_path: Path
) -> None:
    first, second = (task.task.digest for task in prepared.tasks[:2])
    folders = {**execution().folders, first: execution().folders[second]}
    with pytest.raises(DataError, match="holds another task"):
        train(experiment(tasks=True), execution(folders=folders), tmp_path)


# What it survives


def fail_at(monkeypatch: pytest.MonkeyPatch, at: int, error: Exception) -> None:
    original = step.train_step

    def failing(setup: Any, progress: Any, number: int, batch: Any) -> Any:
        if number == at:
            raise error
        return original(setup, progress, number, batch)

    monkeypatch.setattr(loop, "train_step", failing)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("mat1 and mat2\nsecond line"), "crashed"),
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
    ],
)
def test_a_failure_is_recorded_and_the_next_attempt_goes_on(
    experiment: Builder,
    execution: Builder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: str,
) -> None:
    spec, how = experiment(steps=20, model=SMALL), execution(checkpoint_every=4)
    with monkeypatch.context() as patched:
        fail_at(patched, 10, error)
        with pytest.raises(type(error)):
            train(spec, how, tmp_path / "cut")
    record = fold_run(tmp_path / "cut")
    assert (record.state, record.kind, record.step) == ("failed", kind, 10)
    assert record.reason is not None and record.reason.startswith(type(error).__name__) and "\n" not in record.reason
    record = train(spec, how, tmp_path / "cut")
    train(spec, how, tmp_path / "straight")
    assert (record.state, record.resumed_from, record.executed_steps) == ("finished", [8], 20 + 2)
    assert same_weights(tmp_path / "cut", tmp_path / "straight")


def test_without_a_checkpoint_it_begins_again_and_says_so(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(steps=20, model=SMALL)
    with monkeypatch.context() as patched:
        fail_at(patched, 10, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            train(spec, execution(), tmp_path)
    record = train(spec, execution(), tmp_path)
    assert (record.resumed_from, record.executed_steps, len(record.series["train/loss"])) == ([0], 30, 20)


def test_a_torn_checkpoint_is_passed_over_and_the_result_is_the_same(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=20, model=SMALL), execution(checkpoint_every=4, keep_checkpoints=3)
    with monkeypatch.context() as patched:
        fail_at(patched, 14, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            train(spec, how, tmp_path / "cut")
    torn = tmp_path / "cut" / "checkpoints" / "step-00000012" / "training.pt"
    torn.write_bytes(torn.read_bytes()[:-100])
    record = train(spec, how, tmp_path / "cut")
    straight = train(spec, how, tmp_path / "straight")
    assert record.resumed_from == [8]
    assert record.series == straight.series
    assert same_weights(tmp_path / "cut", tmp_path / "straight")


def test_a_full_disk_ends_the_run_in_one_line_with_the_last_checkpoint_intact(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=20, model=SMALL), execution(checkpoint_every=4)

    def full(folder: Path) -> None:
        if "00000008" in folder.name:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "_seal", _before(checkpoint._seal, full))
        with pytest.raises(CheckpointError, match="No space left on device"):
            train(spec, how, tmp_path)
    assert (fold_run(tmp_path).state, fold_run(tmp_path).step) == ("failed", 8)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]
    assert train(spec, how, tmp_path).resumed_from == [4]


def _before(original: Callable[[Path], None], first: Callable[[Path], None]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        first(folder)
        original(folder)

    return both


def test_events_that_cannot_be_written_end_the_run_in_one_line(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, write = experiment(steps=20, model=SMALL), os.write

    def full(file: int, data: bytes) -> int:
        return write(file, data[:9]) if b'"step":6' in data else write(file, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(StudyError, match="short write") as caught:
            train(spec, execution(checkpoint_every=4), tmp_path)
    assert "\n" not in str(caught.value)
    assert fold_run(tmp_path).step == 5
    assert train(spec, execution(), tmp_path).resumed_from == [4]


def test_a_checkpoint_of_another_shape_is_named(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    train(experiment(steps=2, model=SMALL), execution(), tmp_path / "small")
    (tmp_path / "large").mkdir()
    (tmp_path / "small" / "checkpoints").rename(tmp_path / "large" / "checkpoints")
    with pytest.raises(CheckpointError, match="not a checkpoint of this run"):
        train(experiment(steps=2), execution(), tmp_path / "large")


# Divergence


def poison(monkeypatch: pytest.MonkeyPatch, since: int, factor: float) -> None:
    """From step `since` on (0-based), losses and gradients are multiplied."""
    original = step.forward_backward

    def poisoned(setup: Any, progress: Any, number: int, batch: Any, gates: Any, second: Any = ()) -> torch.Tensor:
        loss = original(setup, progress, number, batch, gates, second)
        if number >= since:
            for parameter in progress.parameters:
                if parameter.grad is not None:
                    parameter.grad *= factor
            loss = loss * factor
        return loss

    monkeypatch.setattr(step, "forward_backward", poisoned)


RULES = Divergence(nonfinite_steps=3, spike=2.0, spike_steps=3, min_loss_scale=8.0)


@pytest.mark.parametrize(
    ("precision", "factor", "reason", "at"),
    [
        ("fp32", math.nan, "the loss was not finite for 3 steps", 14),
        ("fp32", math.inf, "the loss was not finite for 3 steps", 14),
        ("bf16", math.nan, "the loss was not finite for 3 steps", 14),
        ("fp16", math.nan, "the loss was not finite for 3 steps", 14),
        ("fp32", 50.0, "the loss stayed more than 2 nats above its running median for 3 steps", 14),
    ],
)
def test_divergence_is_a_result_with_a_name_a_date_and_finite_numbers(
    experiment: Builder,
    execution: Builder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    factor: float,
    reason: str,
    at: int,
) -> None:
    poison(monkeypatch, 11, factor)
    spec = experiment(steps=40, model=SMALL, precision=precision, divergence=RULES, tasks=True)
    record = train(spec, execution(checkpoint_every=10), tmp_path)
    assert (record.state, record.reason, record.step) == ("diverged", reason, at)
    assert record.ended
    last = events(tmp_path)[-1]
    assert (last["event"], last["first_bad_step"]) == ("diverged", 12)
    assert last["metrics"]["divergence/diverged"] == 1.0
    assert last["metrics"]["divergence/first_bad_step"] == 12.0
    assert last["metrics"]["progress/tokens"] == at * spec.batch.sequences * spec.data.length
    assert all(math.isfinite(value) for value in record.final.values())
    assert {event["event"] for event in events(tmp_path)} == {"started", "progress", "valid", "checkpoint", "diverged"}
    assert not (tmp_path / "tasks").exists()


def test_a_loss_scale_that_collapses(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = step.forward_backward

    def overflowing(setup: Any, progress: Any, number: int, batch: Any, gates: Any, second: Any = ()) -> torch.Tensor:
        loss = original(setup, progress, number, batch, gates, second)
        next(parameter.grad for parameter in progress.parameters if parameter.grad is not None).fill_(math.inf)
        return loss

    monkeypatch.setattr(step, "forward_backward", overflowing)
    record = train(experiment(steps=40, model=SMALL, precision="fp16", divergence=RULES), execution(), tmp_path)
    assert (record.state, record.reason, record.step) == ("diverged", "the loss scale collapsed to 4, below 8", 14)
    assert record.final["divergence/first_bad_step"] == 1.0
    assert (record.final["divergence/min_loss_scale"], record.final["divergence/skipped_steps"]) == (4.0, 14.0)


@pytest.mark.parametrize("log_points", [1, 40])
def test_when_divergence_is_noticed_does_not_depend_on_what_is_logged(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_points: int
) -> None:
    poison(monkeypatch, 11, math.nan)
    record = train(experiment(steps=40, model=SMALL, divergence=RULES), execution(log_points=log_points), tmp_path)
    assert record.step == 14
    assert record.final["divergence/skipped_steps"] == 3.0
    assert record.final["progress/tokens"] == 14 * 8 * 16


def test_a_validation_loss_that_is_not_finite_is_divergence(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "held_out_metrics", lambda *_: {"loss": math.inf})
    record = train(experiment(steps=20, model=SMALL), execution(), tmp_path)
    assert (record.state, record.reason) == ("diverged", "the validation loss is not finite")
    assert "valid/loss" not in record.final


def test_a_single_bad_step_changes_nothing_and_training_goes_on(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = step.forward_backward

    def once(setup: Any, progress: Any, number: int, batch: Any, gates: Any, second: Any = ()) -> torch.Tensor:
        loss = original(setup, progress, number, batch, gates, second)
        if number == 5:
            next(parameter.grad for parameter in progress.parameters if parameter.grad is not None).fill_(math.nan)
        return loss

    monkeypatch.setattr(step, "forward_backward", once)
    record = train(experiment(steps=20, model=SMALL), execution(), tmp_path)
    assert (record.state, record.final["divergence/skipped_steps"]) == ("finished", 1.0)
    assert len(record.series["train/loss"]) == 20
    assert len(record.series["train/grad_norm"]) == 19


def test_what_counts_as_out_of_memory() -> None:
    assert out_of_memory(MemoryError())
    assert not out_of_memory(ValueError("DefaultCPUAllocator: can't allocate memory"))


def test_events_are_lines_of_json_without_nan(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    train(experiment(steps=2, model=SMALL), execution(), tmp_path)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert len(lines) > 3
    for line in lines:
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_the_record_is_that_of_the_folder(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    record: RunRecord = train(experiment(steps=2, model=SMALL), execution(), tmp_path)
    assert record == fold_run(tmp_path)
