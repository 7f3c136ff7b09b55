"""A small study written as records, without training: what the mirror reads."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from pld_search.records.events import CheckpointWritten, RunProgress, RunStarted, RunValidated
from pld_search.records.run_record import RunWriter
from pld_search.records.study_events import StudyCreated, TrialAsked
from pld_search.records.study_record import StudyWriter, trial_folder

EXPERIMENT: dict[str, Any] = {
    "model": {"layers": 4, "hidden": 32, "vocabulary": 1000},
    "data": {"length": 16},
    "batch": {"sequences": 8, "groups": 1},
    "optimizer": {"lr": 0.001},
    "schedule": {
        "name": "pld",
        "about": "text",
        "temporal": {"kind": "exponential", "end": 0.5},
        "depth": {"kind": "linear"},
    },
    "evaluation": {"tasks": [], "seeds": 1},
    "steps": 100,
    "seed": 0,
}


ASKED: dict[str, Any] = {
    "kind": "system",
    "sampler_study": None,
    "number": None,
    "params": {},
    "distributions": {},
    "digest": "sha256:" + "0" * 64,
    "steps": 100,
    "schedule": "pld",
    "seeds": [0],
    "forecast": {},
    "experiment": EXPERIMENT,
}
TASK: dict[str, Any] = {"suite": "demo", "name": "older", "digest": "sha256:" + "b" * 64, "kind": "classification"}


class Clock:
    """Seconds that pass by one a record, over all writers."""

    _now = itertools.count(1_700_000_000)

    def __call__(self) -> float:
        return float(next(self._now))


def write_study(folder: Path, study_id: str, trials: int = 1) -> StudyWriter:
    """`created` and `asked` records of `trials` systems; the caller goes on with the writer."""
    writer = StudyWriter(folder / "study.jsonl", Clock())
    writer.write(StudyCreated(id=study_id, name=folder.name, definition={"name": folder.name}, identity={}))
    for number in range(trials):
        writer.write(TrialAsked(**{**ASKED, "trial": number, "system": f"pld{number}"}))
    return writer


def run(folder: Path, trial: int = 0, index: int = 0) -> RunWriter:
    """The writer of the next attempt of a run, its `started` event written."""
    writer = RunWriter(trial_folder(folder, trial, index) / "events.jsonl", Clock())
    provenance = {"commit": "abc", "versions": {"torch": "2"}}
    writer.emit(
        RunStarted(0, experiment=EXPERIMENT, seed=0, execution={"device": "cpu", "threads": 1}, provenance=provenance)
    )
    return writer


def train(writer: RunWriter, start: int, end: int, every: int = 10) -> None:
    """Progress with a validation every 50 steps and a checkpoint every 50."""
    for step in range(start + every, end + 1, every):
        tokens = {"progress/tokens": step * 128}
        writer.emit(
            RunProgress(
                step,
                metrics={"train/loss": 7 - step / 100 + writer.attempt, **tokens},
                timing={"progress/seconds": step / 10},
            )
        )
        if step % 50 == 0:
            writer.emit(RunValidated(step, metrics={"valid/loss": 6 - step / 100}))
            writer.emit(CheckpointWritten(step, folder="x"))
