"""Halving with promotion and the real trainer under `kill -9` at random moments: of the coordinator, of trunk runs, of
branches.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.search.promoted import WHOM, Coordinator, check, kills, restarts

KILLS, CHECKPOINT_EVERY = 12, 6
STUDY = """
name: promoted
experiment:
  model: {layers: 4, hidden: 64, heads: 4, positions: alibi, dropout: 0, attention_dropout: 0, embedding_std: 0.1}
  data: {train: demo, validation: 10 %, test: 10 %, document: file, tokenizer: {train: wordpiece, vocabulary: 1024}, length: 32}
  batch: {sequences: 32}
  optimizer: {lr: {log: [3e-4, 3e-2]}, shape: wsd, decay: 20 %, warmup: 10 %}
  precision: fp32
  schedule: {base: pld, temporal.end: {float: [0.4, 0.9]}}
  validation: {every: 25 %, sequences: 64}
budget: {steps: 90}
search: {objective: {minimize: valid/loss}, sampler: tpe, trials: 6, seed: 2, early_stopping: {kind: promotion, min: 15 %, eta: 3}}
"""


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_whoever_is_killed_each_run_and_each_branch_ends_once(tmp_path: Path) -> None:
    (tmp_path / "promoted.yaml").write_text(STUDY)
    settings = [
        f"machine.checkpoint_every={CHECKPOINT_EVERY}",
        "machine.retries=40",
        "machine.slots=2",
        "machine.threads=1",
    ]
    command = [
        sys.executable,
        "-m",
        "pld_search",
        "run",
        "promoted.yaml",
        *(word for setting in settings for word in ("--set", setting)),
    ]

    def start() -> Coordinator:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=tmp_path,
                env={**os.environ, "NO_COLOR": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    chance, order = random.Random(3), [*WHOM] * (KILLS // 3)
    chance.shuffle(order)
    done, coordinator = kills(order, tmp_path / "runs" / "promoted", start, chance, 1.0)
    assert coordinator.wait(timeout=1800) == 0, (tmp_path / "log").read_text()[-2000:]
    found = check(
        tmp_path / "runs" / "promoted", f"sqlite:///{tmp_path}/runs/mlflow.db", eta=3, every=CHECKPOINT_EVERY + 1
    )
    told = Counter(trial.told.state for trial in found.study.trials.values() if trial.told)
    print(f"killed {dict(Counter(done))}; {restarts(found)} parts begun again; told {dict(told)}")
    steps = (
        sum(record.executed_steps for record in found.runs.values()),
        sum(record.step for record in found.runs.values()),
    )
    print(
        f"{steps[0]:,} steps executed for {steps[1]:,}; "
        f"{sum(record.executed_steps for record in found.branches.values()):,} of branches"
    )
    assert len(done) >= 2 * KILLS // 3
    assert restarts(found) >= 3
