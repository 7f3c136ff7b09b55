"""Halving with promotion, killed with `kill -9` in its coordinator, its trunk runs and its branches; then the same
command.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from pld_search.tracking.mlflow_mirror import mirror
from tests.search.fake_trainer import EVERY
from tests.search.promoted import WHOM, check, kills, restarts
from tests.search.studies import OPEN_LR
from tests.search.test_kills import finish, start

STUDY = (
    "search: {objective: {minimize: valid/loss}, sampler: tpe, trials: 6, seed: 1, early_stopping: {kind: "
    "promotion, min: 15 %, eta: 3}}\n"
)
DECAYING = f"{OPEN_LR}, shape: wsd, decay: 20 %"


@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_whoever_is_killed_each_run_and_each_branch_ends_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, folder, uri = random.Random(1), tmp_path / "runs" / "small", f"sqlite:///{tmp_path}/mlflow.db"
    machine = tmp_path / "machine.yaml"
    machine.write_text("retries: 40\n")
    monkeypatch.setenv("COORDINATE_MACHINE", str(machine))
    monkeypatch.setenv("FAKE_STEP", "0.05")
    order = [*WHOM, "coordinator", "branch"]
    chance.shuffle(order)
    done, coordinator = kills(order, folder, lambda: start(tmp_path, folder, STUDY, DECAYING), chance, 0.15)
    assert done == order
    mirror(folder, uri)  # MLflow holds runs that go on or were cut off
    assert finish(coordinator) == (0, "")
    found = check(folder, uri, eta=3, every=EVERY)
    assert restarts(found) >= 1
    assert Counter(trial.told.state for trial in found.study.trials.values() if trial.told) == {
        "PRUNED": 5,
        "COMPLETE": 1,
    }
