from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pld_search.host.processes import host, start_time
from pld_search.records.run_record import RunRecord
from pld_search.records.study_events import StudyCompleted, StudyOpened, StudyPaused, TrialAsked, TrialTold
from pld_search.records.study_record import fold_study
from pld_search.records.trial_record import LaunchRecord, TrialRecord
from pld_search.tracking.mlflow_status import MlflowStanding, run_standing, study_status
from tests.tracking.studies import write_study


def living(**more: Any) -> LaunchRecord:
    return LaunchRecord(launches=1, pid=os.getpid(), process_started=start_time(os.getpid()), host=host(), **more)


GONE = LaunchRecord(launches=1, pid=os.getpid(), process_started=1.0, host=host())


def ended(outcome: str) -> LaunchRecord:
    return LaunchRecord(outcome=outcome, pid=1, process_started=1.0)


def standing(state: str, launch: LaunchRecord | None, told: str | None = None, step: int = 4) -> MlflowStanding:
    """Of a run that has rungs at steps 4 and 12."""
    trial = TrialRecord.of(TrialAsked(0, "sampled", None, rungs=[4, 12], seeds=[0]))
    trial.told = None if told is None else TrialTold(0, told)
    if launch is not None:
        trial.launches[0] = launch
    return run_standing(trial, 0, RunRecord(state=state, step=step, kind="loss_spike" if state == "diverged" else None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "launch", "expected"),
    [
        ("finished", living(), ("FINISHED", "finished", "finished")),
        ("diverged", GONE, ("FINISHED", "diverged", "diverged at step 4 (loss_spike)")),
        ("running", living(), ("RUNNING", "running", "running")),
        ("running", living(until=12), ("RUNNING", "running", "running to rung 2 of 2 (step 12)")),
        ("paused", living(branch=4), ("RUNNING", "running", "running the branch of rung 1 of 2 (step 4)")),
        ("running", GONE, ("KILLED", "killed", "killed at step 4")),
        ("running", None, ("KILLED", "killed", "killed at step 4")),
        ("stopped", GONE, ("KILLED", "stopped", "stopped at step 4")),
        ("stopped", ended("timed_out"), ("KILLED", "stopped", "timed out at step 4")),
        ("stopped", living(), ("RUNNING", "running", "running")),
        ("paused", ended("paused"), ("SCHEDULED", "paused", "waiting at rung 1 of 2 (step 4)")),
        ("paused", ended("branched"), ("SCHEDULED", "paused", "waiting at rung 1 of 2 (step 4)")),
        ("failed", GONE, ("FAILED", "failed", "failed at step 4")),
        ("running", ended("out_of_memory"), ("FAILED", "failed", "out of memory at step 4")),
        ("running", ended("lost_node"), ("KILLED", "killed", "lost node at step 4")),
        ("running", LaunchRecord(pid=1, process_started=1.0, host="elsewhere"), ("RUNNING", "running", "running")),
    ],
)
def test_how_a_run_stands(state: str, launch: LaunchRecord | None, expected: tuple[str, str, str]) -> None:
    assert standing(state, launch) == MlflowStanding(*expected)  # type: ignore[arg-type]


def test_what_was_decided_about_a_trial_is_how_its_paused_run_ended() -> None:
    assert standing("paused", ended("branched"), "PRUNED", 12) == MlflowStanding(
        "FINISHED", "pruned", "pruned at rung 2 of 2 (step 12)"
    )
    # another seed's run was stopped
    assert standing("diverged", ended("diverged"), "PRUNED").outcome == "diverged at step 4 (loss_spike)"
    # its branch failed for good
    assert standing("paused", ended("crashed"), "FAIL") == MlflowStanding("FAILED", "failed", "crashed at step 4")
    # another seed's run did
    assert standing("paused", ended("paused"), "FAIL") == MlflowStanding("KILLED", "paused", "paused at step 4")


def test_status_of_a_study(tmp_path: Path) -> None:
    writer = write_study(tmp_path, "x")
    writer.write(StudyOpened(pid=os.getpid(), process_started=start_time(os.getpid()), host=host()))
    assert study_status(fold_study(tmp_path)) == "RUNNING"
    writer.write(StudyPaused(reason="stopped"))
    assert study_status(fold_study(tmp_path)) == "KILLED"
    writer.write(StudyOpened(pid=os.getpid(), process_started=1.0, host=host()))
    assert study_status(fold_study(tmp_path)) == "KILLED"
    writer.write(StudyCompleted())
    assert study_status(fold_study(tmp_path)) == "FINISHED"
    writer.write(StudyOpened(pid=os.getpid(), process_started=1.0, host=host()))
    assert study_status(fold_study(tmp_path)) == "FINISHED"
