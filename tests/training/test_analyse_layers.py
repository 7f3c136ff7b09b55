"""A series of analyses: where it falls, that it survives a resume, and that the run is the same without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pld_search.records.events import RunAnalysed, read_run_events
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.layer_series import Analysis
from pld_search.training import device_clock, loop
from pld_search.training.train_run import train

STEPS = 8
TINY = {"layers": 2, "hidden": 16, "heads": 2, "intermediate": 32, "dropout": 0.1}


def numbers(record: RunRecord) -> list[tuple[int, dict[str, Any]]]:
    """The series without what a clock measured."""
    found = [(step, analysis.record()) for step, analysis in record.analyses]
    for _, each in found:
        assert each.pop("seconds") > 0
        each.get("elasticity", {}).pop("speed", None)
    return found


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{STEPS:08d}" / "model.safetensors")


@pytest.fixture
def how(execution: Callable[..., Execution]) -> Execution:
    return execution(speed_probes=0, analysis=Analysis(every="25 %", sequences=16))


def test_the_run_is_the_same_and_a_series_goes_on_after_a_pause(
    experiment: Callable[..., Experiment], execution: Callable[..., Execution], how: Execution, tmp_path: Path
) -> None:
    what = experiment(steps=STEPS, model=TINY)
    straight = train(what, how, tmp_path / "straight")
    without = train(what, execution(speed_probes=0), tmp_path / "without")
    assert train(what, how, tmp_path / "cut", until=4).state == "paused"
    cut = train(what, how, tmp_path / "cut")

    assert [step for step, _ in straight.analyses] == [0, 2, 4, 6, 8]
    assert without.analyses == []
    assert (cut.attempt, numbers(cut)) == (2, numbers(straight))
    assert straight.series == without.series == cut.series
    expected = weights(tmp_path / "without")
    for run in ("straight", "cut"):
        found = weights(tmp_path / run)
        assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    assert straight.analysis_seconds == pytest.approx(sum(found.seconds for _, found in straight.analyses))


def test_the_curve_is_measured_at_the_end_and_the_loss_is_that_of_validation(
    experiment: Callable[..., Experiment], how: Execution, tmp_path: Path
) -> None:
    record = train(experiment(steps=STEPS, model=TINY), how, tmp_path / "run")
    assert [found.elasticity is not None for _, found in record.analyses] == [False] * 4 + [True]
    losses = dict(record.series["valid/loss"])
    compared = [(found.loss, losses[step]) for step, found in record.analyses if step in losses]
    assert len(compared) == 4
    assert [one for one, _ in compared] == pytest.approx([other for _, other in compared], rel=1e-5)


def test_a_checkpoint_is_still_the_last_event_of_its_step(
    experiment: Callable[..., Experiment], how: Execution, tmp_path: Path
) -> None:
    train(experiment(steps=STEPS, model=TINY), how.model_copy(update={"checkpoint_every": 2}), tmp_path / "run")
    events = read_run_events(tmp_path / "run" / "events.jsonl")
    names = [event.NAME for event in events if event.step == 4]
    assert names.index("analysed") < names.index("checkpoint") == len(names) - 1


def test_its_time_is_no_training_time(
    experiment: Callable[..., Experiment], how: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the run stands still: were a look counted, an hour of it would show."""
    hour = 3600.0
    clock = {"now": 0.0}

    def look(_setup: object, state: Any, log: Any) -> None:
        clock["now"] += hour
        found = LayerAnalysis(1, 1.0, {"block": [1.0]}, [1.0], [1.0], [], [1.0], hour)
        log.emit(RunAnalysed(state.step, found=found.record()))

    monkeypatch.setattr(loop, "analyse_layers", look)
    monkeypatch.setattr(device_clock, "time", SimpleNamespace(perf_counter=lambda: clock["now"]))
    record = train(experiment(steps=STEPS, model=TINY), how, tmp_path / "run")
    assert record.final["progress/seconds"] == 0.0
    assert record.analysis_seconds == 5 * hour
    assert fold_run(tmp_path / "run").analyses[-1][0] == STEPS
