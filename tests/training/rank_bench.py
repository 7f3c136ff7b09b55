"""Runs on several ranks beside the same runs in this process: one launch for many of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training.train_run import train
from tests.training.rank_runs import code_of, on_ranks, settings

Builder = Callable[..., Any]
STEPS = 20
BATCH = {"sequences": 16, "groups": 2}
SERIES = ("train/loss", "train/grad_norm", "valid/loss", "test/loss")


class Bench:
    """Jobs for a number of ranks, and the same runs in this process."""

    def __init__(self, folder: Path, experiment: Builder, execution: Builder) -> None:
        self.folder, self.experiment, self.execution = folder, experiment, execution
        self.jobs: dict[str, dict[str, Any]] = {}
        self.found: list[dict[str, Any]] = []
        self.disk: Path | None = None

    def spec(self, steps: int = STEPS, draws: dict[str, Any] | None = None, **changes: Any) -> Experiment:
        """`draws` changes the schedule."""
        made: Experiment = self.experiment(**{**settings(steps=steps, batch=BATCH), **changes})
        written = made.model_dump(mode="json")
        return Experiment.model_validate({**written, "schedule": {**written["schedule"], **(draws or {})}})

    def how(self, **changes: Any) -> Execution:
        made: Execution = self.execution(**{"log_points": 1000, "speed_probes": 0, **changes})
        return made

    def add(self, name: str, spec: Experiment, how: Execution, out: str | None = None, **more: Any) -> None:
        files = {"experiment": spec.model_dump(mode="json"), "execution": how.model_dump(mode="json")}
        self.jobs[name] = {**files, "out": str(self.folder / (out or name)), **more}

    def run(self, ranks: int, timeout: float = 540) -> None:
        file = self.folder / f"jobs-{ranks}.json"
        file.write_text(json.dumps(self.jobs))
        log = self.folder / f"log-{ranks}"
        command = on_ranks(ranks, "tests.training.rank_worker", str(file))
        assert code_of(command, log, timeout) == 0, log.read_text()[-6000:]
        self.found = [json.loads(file.with_suffix(f".{rank}").read_text()) for rank in range(ranks)]
        self.jobs = {}

    def alone(self, name: str, spec: Experiment, how: Execution | None = None) -> RunRecord:
        return train(spec, how or self.how(), self.folder / name)

    def record(self, name: str) -> RunRecord:
        return fold_run(self.folder / name)


def losses(record: RunRecord) -> list[float]:
    return [value for _, value in record.series["train/loss"]]


def assert_close(one: RunRecord, other: RunRecord, tolerance: float = 1e-5, names: tuple[str, ...] = SERIES) -> None:
    """The same steps and numbers to rounding, of two runs that have ended."""
    assert (one.state, other.state) == ("finished", "finished")
    assert len(losses(one)) > 0
    for name in names:
        assert [step for step, _ in one.series[name]] == [step for step, _ in other.series[name]], name
        assert [value for _, value in one.series[name]] == pytest.approx(
            [value for _, value in other.series[name]], abs=tolerance
        ), name
