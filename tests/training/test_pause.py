"""Paused runs go on as if they had never paused, and keep what a branch needs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pld_search.errors import ConfigError, Interrupted
from pld_search.records import jsonl
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.training import precision
from pld_search.training.train_run import train
from tests.training.test_resume import assert_same_checkpoint, run_child
from tests.training.test_signals import signal_at
from tests.training.test_train_run import fail_at

Builder = Callable[..., Any]
SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}


def names(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").iterdir())


def training_series(record: RunRecord) -> dict[str, list[tuple[int, float]]]:
    """Everything but what a pause adds: a validation, and what was spent beside it."""
    return {
        name: points
        for name, points in record.series.items()
        if name not in ("valid/loss", "progress/tokens", "progress/tflop")
    }


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_paused_twice_it_is_bit_identical_to_never_having_paused(
    kind: str, experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "INITIAL_SCALE", 2.0**26)
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", 20)
    monkeypatch.setattr("tests.training.test_resume.STEPS", 40)
    spec = experiment(steps=40, model=SMALL, precision=kind, optimizer={"shape": "wsd", "warmup": "10 %"}, tasks=False)
    how = execution(log_points=7, speed_probes=2)
    first = train(spec, how, tmp_path / "cut", until=13)
    assert (first.state, first.step, first.ended, first.pauses, first.executed_steps) == ("paused", 13, False, [13], 13)
    assert [(event["event"], event["step"]) for event in jsonl.read(tmp_path / "cut" / "events.jsonl")][-3:] == [
        ("valid", 13),
        ("checkpoint", 13),
        ("paused", 13),
    ]
    assert not any(event["event"] in ("task", "evaluated") for event in jsonl.read(tmp_path / "cut" / "events.jsonl"))
    second = train(spec, how, tmp_path / "cut", until=30)
    assert (second.state, second.pauses, second.resumed_from, second.executed_steps) == ("paused", [13, 30], [13], 30)
    cut, straight = train(spec, how, tmp_path / "cut"), train(spec, how, tmp_path / "straight")
    assert (cut.state, cut.resumed_from, cut.executed_steps) == ("finished", [13, 30], 40)
    assert training_series(cut) == training_series(straight)
    assert set(straight.series["valid/loss"]) < set(cut.series["valid/loss"])
    assert {step for step, _ in cut.series["valid/loss"]} == {10, 13, 20, 30, 40}
    assert_same_checkpoint(tmp_path / "cut", tmp_path / "straight")


def test_a_pause_at_the_end_or_beyond_is_the_whole_run(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    spec = experiment(steps=6, model=SMALL)
    assert train(spec, execution(), tmp_path, until=6).state == "finished"
    assert train(spec, execution(), tmp_path / "other", until=100).state == "finished"


def test_asked_again_for_the_same_pause_nothing_happens(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    spec = experiment(steps=20, model=SMALL)
    first = train(spec, execution(), tmp_path, until=8)
    assert train(spec, execution(), tmp_path, until=8) == first
    with pytest.raises(ConfigError, match=r"beyond that step already; allowed: 8 or more; given: 5"):
        train(spec, execution(), tmp_path, until=5)
    assert fold_run(tmp_path) == first


def test_the_checkpoint_of_a_pause_stays_until_the_run_moved_on(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=20, model=SMALL), execution(checkpoint_every=2, keep_checkpoints=1)
    train(spec, how, tmp_path, until=7)
    assert names(tmp_path) == ["step-00000007"]
    with monkeypatch.context() as patched:
        fail_at(patched, 11, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            train(spec, how, tmp_path)
    assert names(tmp_path) == ["step-00000007", "step-00000010"]
    train(spec, how, tmp_path, until=15)
    assert names(tmp_path) == ["step-00000007", "step-00000015"]
    train(spec, how, tmp_path, until=18)
    assert names(tmp_path) == ["step-00000015", "step-00000018"]
    train(spec, how, tmp_path)
    assert names(tmp_path) == ["step-00000020"]


def test_stopped_at_the_very_step_of_the_pause_it_validates_and_pauses(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(steps=20, model=SMALL)
    with monkeypatch.context() as patched:
        signal_at(patched, signal.SIGTERM, "progress", 7)
        with pytest.raises(Interrupted):
            train(spec, execution(), tmp_path)
    record = train(spec, execution(), tmp_path, until=8)
    assert (record.state, record.step, record.series["valid/loss"][-1][0]) == ("paused", 8, 8)


def test_killed_before_the_pause_it_pauses_at_the_same_place(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    spec, how = (
        experiment(steps=40, model=SMALL, optimizer={"shape": "wsd"}),
        execution(checkpoint_every=5, log_points=40),
    )
    assert run_child(spec, how, tmp_path / "cut", kill_at=18, until=21) == -signal.SIGKILL
    cut, straight = train(spec, how, tmp_path / "cut", until=21), train(spec, how, tmp_path / "straight", until=21)
    assert (cut.state, cut.resumed_from, cut.executed_steps) == ("paused", [15], 24)
    assert cut.series == straight.series
