"""How a run stands, by every combination of what its events, its last launch and its trial say."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from pld_search.records import status
from pld_search.records.run_record import RunRecord, RunState
from pld_search.records.status import run_status, study_status, trial_status
from pld_search.records.study_events import (
    StudyCompleted,
    StudyOpened,
    StudyPaused,
    TrialAsked,
    TrialRejected,
    TrialTold,
)
from pld_search.records.study_record import fold
from pld_search.records.trial_record import LaunchRecord, TrialRecord

OUTCOMES = (
    *("finished", "diverged", "paused", "branched", "stopped", "crashed", "out_of_memory", "killed", "stalled"),
    *("timed_out", "disk_full", "lost_node"),
)
NOT_FAILURES = ("finished", "diverged", "stopped", "disk_full", "lost_node")


def trial_of(launch: LaunchRecord | None = None, told: str | None = None) -> TrialRecord:
    """A trial of 20 steps with rungs at 4 and 12."""
    trial = TrialRecord.of(TrialAsked(0, "sampled", None, seeds=[0], steps=20, rungs=[4, 12]))
    trial.told = None if told is None else TrialTold(0, told)
    if launch is not None:
        trial.launches[0] = launch
    return trial


@pytest.mark.parametrize("recorded", get_args(RunState))
def test_the_events_of_a_run_decide_unless_the_coordinator_knows_better(recorded: RunState) -> None:
    run = RunRecord(state=recorded, step=4)
    for outcome, told in itertools.product((None, *OUTCOMES), (None, "COMPLETE", "PRUNED", "FAIL")):
        found = run_status(trial_of(LaunchRecord(launches=1, outcome=outcome), told), 0, run)
        if recorded == "paused" and told == "PRUNED":
            assert found.state == "pruned"
        elif recorded in ("new", "running") and outcome is not None and outcome not in NOT_FAILURES:
            assert found.state == "failed"
        elif recorded in ("new", "running") and outcome in ("stopped", "disk_full", "lost_node"):
            assert found.state == "stopped"
        else:
            assert found.state == recorded
        assert (found.recorded, found.step, found.lives) == (recorded, 4, False)
        assert (found.at is not None) == (recorded == "paused" and told in (None, "PRUNED"))


def test_a_rejected_trial_is_never_trained() -> None:
    trial = trial_of()
    trial.rejected = TrialRejected(0, "saves too little")
    assert run_status(trial, 0, RunRecord()).shown == "rejected"
    assert (trial_status(trial), trial.open, trial.feasible, trial.why) == (
        "rejected",
        False,
        False,
        "saves too little",
    )


@pytest.mark.parametrize(
    ("recorded", "step", "launch", "shown"),
    [
        ("new", 0, None, "waiting"),
        ("new", 0, LaunchRecord(launches=1), "starting"),
        ("running", 3, LaunchRecord(launches=1), "running"),
        ("running", 20, LaunchRecord(launches=1), "evaluating"),
        ("paused", 4, LaunchRecord(launches=2), "starting"),
        ("paused", 4, LaunchRecord(launches=2, branch=4), "branching"),
        ("paused", 4, LaunchRecord(launches=2, branch=4, outcome="branched"), "paused"),
        ("finished", 20, LaunchRecord(launches=1, outcome="finished"), "finished"),
    ],
)
def test_what_a_run_does_beside_training(
    recorded: RunState, step: int, launch: LaunchRecord | None, shown: str
) -> None:
    assert run_status(trial_of(launch), 0, RunRecord(state=recorded, step=step)).shown == shown


def test_places_of_a_run_with_rungs() -> None:
    found = run_status(trial_of(LaunchRecord(launches=1, until=12)), 0, RunRecord(state="paused", step=4))
    assert found.at is not None and (found.at.rung, found.at.count, found.at.step) == (1, 2, 4)
    assert found.until is not None and found.until.rung == 2
    assert found.branch is None


@pytest.mark.parametrize(
    ("told", "expected"), [(None, "open"), ("COMPLETE", "complete"), ("PRUNED", "pruned"), ("FAIL", "failed")]
)
def test_a_trial(told: str | None, expected: str) -> None:
    assert trial_status(trial_of(told=told)) == expected


def test_a_study_runs_while_its_coordinator_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = StudyOpened(pid=7, process_started=1.0, host="here")
    monkeypatch.setattr(status, "host", lambda: "here")
    for lives, expected in ((True, "running"), (False, "paused")):
        monkeypatch.setattr(status, "alive", lambda _pid, _started, lives=lives: lives)
        assert study_status(fold([opened])) == expected
    monkeypatch.setattr(status, "alive", lambda _pid, _started: True)
    assert study_status(fold([opened, StudyPaused(reason="signal 15")])) == "paused"
    assert study_status(fold([opened, StudyCompleted()])) == "completed"
    assert study_status(fold([])) == "paused"
