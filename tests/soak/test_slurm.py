"""What SLURM does to jobs by itself: it requeues them, and warns them before their time limit. It takes its time, so
these tests do too.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pld_search.records import jsonl
from pld_search.records.study_record import view
from tests.search.fake_trainer import EVERY
from tests.search.launchers.controllers import slurm
from tests.search.studies import check_ended_once, run, small_study, trainer_environment

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
ALONE = "systems:\n  full: {schedule: full}\nreference: full\n"


def events(folder: Path, kind: str) -> list[str]:
    return [record.get("outcome", kind) for record in jsonl.read(folder / "study.jsonl") if record["event"] == kind]


class Requeue:
    """An observer that has SLURM requeue the job of a run that has a checkpoint, as an administrator does who wants the
    node.
    """

    done = False

    def notice(self, folder: Path) -> None:
        found = view(folder)
        if not self.done and any(record.step > EVERY for record in found.runs.values()):
            self.done = True
            subprocess.run(["scontrol", "requeue", str(found.study.trials[0].launches[0].job)], check=True)

    def close(self, folder: Path) -> None:
        assert self.done


def test_a_requeued_job_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer_environment(monkeypatch.setenv, {"FAKE_STEP": 0.5})
    folder = tmp_path / "small"
    with slurm(1):
        assert (
            run(
                small_study(tmp_path, ALONE, "1e-3"),
                folder,
                1,
                {"launcher": "slurm", "retries": 0},
                observers=[Requeue()],
            )
            == 0
        )
    record = check_ended_once(folder).runs[0, 0]
    assert len(record.resumed_from) == 1
    assert record.resumed_from[0] > EVERY
    assert record.executed_steps == 40  # the signal before the end is a checkpoint
    # one job all the time
    assert (events(folder, "launched"), events(folder, "exited")) == (["launched"], ["finished"])


def test_a_job_is_warned_before_its_time_limit_and_handed_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of three minutes is warned of in the first, and SLURM looks once a minute."""
    trainer_environment(monkeypatch.setenv, {"FAKE_STEP": 2})
    folder = tmp_path / "small"
    machine = {"launcher": "slurm", "retries": 0, "slurm": {"options": ["--time=3"]}}
    with slurm(1):
        assert run(small_study(tmp_path, ALONE, "1e-3"), folder, 1, machine) == 0
    record = check_ended_once(folder).runs[0, 0]
    assert record.resumed_from
    assert record.executed_steps == 40
    assert events(folder, "exited") == ["stopped"] * len(record.resumed_from) + ["finished"]
