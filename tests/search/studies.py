"""Small studies for the coordinator, run by the fake trainer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pld_search.records.study_record import StudyView, view
from pld_search.search.coordinator import Means, run_study
from pld_search.search.launch_command import Start
from pld_search.spaces.load_study import Study, load_study
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared, PreparedCorpus

TRAINER = Path(__file__).with_name("fake_trainer.py")
ROOT = Path(__file__).parents[2]
VOCABULARY = 1000
TEMPLATE = """
name: small
experiment:
  model: {layers: 4, hidden: 32, heads: 4, norm: pre, positions: learned, max_length: 64}
  data: {train: demo, validation: 5 %, test: 5 %, document: file, tokenizer: {train: wordpiece, vocabulary: 1000}, length: 16}
  batch: {sequences: 8, groups: 1}
  optimizer: {lr: LR}
  precision: fp32
  schedule: {base: pld}
budget: {steps: 40}
"""
SYSTEMS = """
systems:
  full: {schedule: full, optimizer.lr: 1e-3, seeds: 2}
  pld: {schedule: pld, tune: 3}
reference: full
"""
SEARCH = "search: {objective: {minimize: valid/loss}, sampler: tpe, trials: 4, seed: 0}\n"
OPEN_LR = "{log: [1e-4, 1e-2]}"


def small_study(folder: Path, more: str = SYSTEMS + SEARCH, lr: str = OPEN_LR, sets: Sequence[str] = ()) -> Study:
    """The template with the given systems and search; `lr` is its learning rate, a value or a domain."""
    path = folder / "small.yaml"
    path.write_text(TEMPLATE.replace("LR", lr) + more)
    return load_study(path, sets)


def prepare(study: Study) -> Prepared:
    """As if a corpus had been prepared."""
    digest = "sha256:" + "1" * 64
    return Prepared(
        corpus=PreparedCorpus(
            corpus=digest,
            tokenizer=digest,
            folder="/nowhere",
            vocabulary=VOCABULARY,
            statistics={"unigram_entropy": 6.0},
        )
    )


def fake_command(start: Start) -> list[str]:
    return [sys.executable, str(TRAINER), str(start.folder), str(start.ranks), *start.part]


def run(study: Study, folder: Path, slots: int = 3, machine: Mapping[str, Any] | None = None, **options: Any) -> int:
    """The coordinator in this process; `machine` are keys of the machine file."""
    options = {"prepare": prepare, "command": fake_command, "poll": 0.02, "environment": {}, **options}
    found = Machine.model_validate({"device": "cpu", "slots": slots, **(machine or {})})
    return run_study(study, folder, found, Means(**options))


def trainer_environment(patch: Callable[[str, str], None], settings: Mapping[str, object] | None = None) -> None:
    """Let the fake trainer find the package, and set its `FAKE_*` variables."""
    patch("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    for name, value in (settings or {}).items():
        patch(name, str(value))


def check_ended_once(folder: Path) -> StudyView:
    """Every run of every trial ended exactly once, and no more steps were taken than resumes account for."""
    found = view(folder)
    assert found.runs
    for (number, index), record in found.runs.items():
        assert record.state in ("finished", "diverged"), (number, index, record)
        assert record.state == "diverged" or record.final["train/loss"] == 820.0  # 1 + ... + 40, each step once
        assert record.executed_steps >= record.step
    return found
