"""A study that learns, killed with `kill -9` in its coordinator, its runs and its branches: the same decisions."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pld_search.records import jsonl
from tests.search.coordinate import __file__ as COORDINATE
from tests.search.in_process import InProcess
from tests.search.promoted import WHOM, kills, processes
from tests.search.studies import OPEN_LR, run, small_study
from tests.search.test_kills import finish

STUDY = "search: {sampler: gp, trials: TRIALS, seed: 1, early_stopping: {kind: learned, min: 20 %}}\n"
DECAYING = f"{OPEN_LR}, shape: wsd, decay: 20 %"


def decisions(folder: Path) -> list[dict[str, Any]]:
    """What was predicted, decided and recommended, without times."""
    kinds = ("predicted", "decided", "recommended", "explained")
    return [
        {key: value for key, value in record.items() if key not in ("seq", "time")}
        for record in jsonl.read(folder / "study.jsonl")
        if record["event"] in kinds
    ]


@pytest.mark.parametrize(
    ("count", "trials"),
    [(2, 4), pytest.param(30, 9, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
    ids=["few", "many"],
)
def test_whoever_is_killed_the_decisions_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, trials: int
) -> None:
    straight, folder = tmp_path / "straight", tmp_path / "runs" / "small"
    study = small_study(tmp_path, STUDY.replace("TRIALS", str(trials)), DECAYING)
    assert run(study, straight, slots=1, launcher=InProcess(), poll=0) == 0
    wanted = decisions(straight)
    assert {each["by"] for each in wanted if each["event"] == "decided"} == {"promotion", "model"}
    assert {each["event"] for each in wanted} >= {"predicted", "decided", "recommended"}
    machine = tmp_path / "machine.yaml"
    machine.write_text("retries: 100\n")
    monkeypatch.setenv("COORDINATE_MACHINE", str(machine))
    monkeypatch.setenv("FAKE_STEP", "0.02" if count < 10 else "0.1")

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, str(COORDINATE), str(tmp_path / "small.yaml"), str(folder), "1"]
        return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)

    chance = random.Random(count)
    order = [chance.choice(["coordinator", *WHOM]) for _ in range(count)]
    done, coordinator = kills(order, folder, start, chance, 0.15)
    assert done
    assert done == order[: len(done)]
    assert finish(coordinator) == (0, "")
    assert not processes(folder)
    assert decisions(folder) == wanted
