"""Studies of tiny models that the real trainer runs: the coordinator in this process, everything else as
users have it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pld_search.app.run_study import preparer
from pld_search.records import jsonl
from pld_search.records.run_record import fold_run
from pld_search.records.study_record import trial_folder, view
from pld_search.search.coordinator import Means, run_study
from pld_search.spaces.load_study import Study, load_study
from pld_search.specs.machine import Machine
from tests.search.studies import ROOT
from tests.training.conftest import write_corpus

TEMPLATE = """
name: tiny
experiment:
  model: {layers: 4, hidden: 32, heads: 2, intermediate: 64, positions: alibi, dropout: 0.1}
  data: {train: {text: ["*.txt"]}, validation: 15 %, test: 15 %, document: file, tokenizer: {train: wordpiece, vocabulary: 120}, length: 16}
  batch: {sequences: 8, groups: 2}
  optimizer: {lr: 1e-3}
  precision: fp32
  validation: {every: 50 %, sequences: 16}
  schedule: pld
budget: {steps: STEPS}
systems:
  pld: {}
  full: {schedule: full}
reference: pld
"""
CALM = {"device": "cpu", "threads": 1, "slots": 1, "retries": 0, "speed_probes": 0, "checkpoint_seconds": 1e9}


def real_study(folder: Path, steps: int, systems: int = 2) -> Study:
    """One or two systems over a corpus of twelve small files."""
    write_corpus(folder)
    path, text = folder / "tiny.yaml", TEMPLATE.replace("STEPS", str(steps))
    path.write_text(text if systems == 2 else text.replace("  full: {schedule: full}\n", ""))
    return load_study(path)


def run(
    study: Study, folder: Path, machine: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, *observers: Any
) -> int:
    """The coordinator until the study is done, or an observer stops it. Returns its exit code."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = Machine.model_validate({**CALM, "cache": str(folder.parent / "cache"), **machine})
    means = Means(prepare=preparer(found, lambda _: None), observers=observers, environment={}, poll=0.1)
    return run_study(study, folder, found, means)


def losses(folder: Path) -> dict[int, list[tuple[int, float]]]:
    """The training loss of every trial's first run, by step."""
    runs = {number: fold_run(trial_folder(folder, number, 0)) for number in view(folder).study.trials}
    assert runs
    for record in runs.values():
        assert record.state == "finished", record.reason
        assert len(record.series["train/loss"]) > 2
    return {number: [(step, value) for step, value in record.series["train/loss"]] for number, record in runs.items()}


def outcomes(folder: Path) -> list[str]:
    return [record["outcome"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "exited"]


def ranks(folder: Path) -> set[int]:
    """How many processes shared the runs."""
    started = [record.started for record in view(folder).runs.values() if record.started is not None]
    return {(each.provenance or {})["ranks"] for each in started}


class StopAt:
    """An observer that stops the study once the run of a trial has come to a step."""

    def __init__(self, trial: int, step: int) -> None:
        self._key, self._step, self._asked = (trial, 0), step, False

    def notice(self, folder: Path) -> None:
        record = view(folder).runs.get(self._key)
        if record is not None and record.step >= self._step and not record.ended and not self._asked:
            self._asked = True  # a second signal would kill
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self, folder: Path) -> None:
        pass
