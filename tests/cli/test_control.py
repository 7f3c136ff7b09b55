"""`status`, `stop` and `retry` against a study's folder, and a coordinator that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pld_search.records.study_events import RunExited, TrialTold
from pld_search.records.study_record import StudyWriter
from pld_search.search.requests import Inbox, Request
from tests.cli.conftest import Call
from tests.search.studies import trainer_environment
from tests.search.test_kills import EVERY, finish, reached, start, wait_until


def fail(study: Path) -> None:
    """The trial that was left behind fails for good, with the end of its log."""
    records = StudyWriter(study / "study.jsonl")
    lines = ["Traceback (most recent call last):", "ValueError: no such layer"]
    records.write(
        RunExited(
            trial=2,
            seed_index=0,
            launch=1,
            code=1,
            outcome="crashed",
            reason="ValueError: no such layer",
            lines=lines,
            seconds=3.0,
        )
    )
    records.write(TrialTold(trial=2, state="FAIL", values=None, constraints={}, reason="ValueError: no such layer"))
    records.close()


def test_status_of_a_study_nobody_runs(call: Call, study: Path) -> None:
    fail(study)
    shown = call("status", "small").stdout
    assert shown.startswith("small: stopped; the same `run` command goes on")
    for text in (
        "full seed 0",
        "2 finished",
        "1 failed",
        "trial 2 seed 0 failed after 1 launches: ValueError: no such layer",
        "    ValueError: no such layer",
    ):
        assert text in shown
    assert "retry STUDY` runs trial 2 again" in shown
    found = json.loads(call("status", "small", "--json").stdout)
    assert (found["study"], found["coordinator"], found["failed_trials"]) == ("small", None, [2])
    assert found["counts"] == {"finished": 2, "failed": 1}
    assert found["runs"][2]["lines"][-1] == "ValueError: no such layer"


def test_retry_leaves_a_request(call: Call, study: Path) -> None:
    assert "no trial of small failed" in call("retry", "small").stdout
    fail(study)
    wrong = call("retry", "small", "--trial", 1)
    assert (wrong.exit_code, "did not fail" in wrong.stderr, "allowed: 2" in wrong.stderr) == (2, True, True)
    assert "trial 2 of small is tried again when the study is run again" in call("retry", "small", "--trial", 2).stdout
    assert "trial 2" in call("retry", "small").stdout
    assert list(Inbox(study).take()) == [Request("retry", {"trial": 2}), Request("retry", {"trial": None})]


def test_stopping_what_nobody_runs(call: Call, study: Path) -> None:
    assert call("stop", "small").stdout == "nothing runs small\n"
    assert list(Inbox(study).take()) == []


@pytest.mark.parametrize("now", [False, True])
def test_a_running_study_is_seen_and_stopped(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: bool
) -> None:
    trainer_environment(monkeypatch.setenv, {"FAKE_STEP": 0.05})
    folder = tmp_path / "runs" / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 1, EVERY))
    shown = call("status", "small")
    assert f"small: running by process {coordinator.pid} on " in shown.stdout
    assert json.loads(call("status", "small", "--json").stdout)["coordinator"]["pid"] == coordinator.pid
    done = call("stop", "small", *(["--now"] if now else []))
    assert done.exit_code == 0
    assert "small has stopped" in done.stdout
    assert finish(coordinator) == (143, "")
