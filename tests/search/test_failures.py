"""Failures told apart, tried again, given up and given a new chance; stalls, timeouts, and runs of several ranks."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pld_search.host.processes import alive, host, marked
from pld_search.records import jsonl
from pld_search.records.study_record import StudyView, view
from pld_search.records.trial_record import LaunchRecord
from pld_search.search.launchers.local import LocalLauncher
from pld_search.search.requests import FOLDER, request
from tests.search.fake_trainer import EVERY
from tests.search.studies import check_ended_once, run, small_study
from tests.search.test_kills import finish, launched, reached, start, wait_until

TWO = "systems: {hot: {schedule: full, optimizer.lr: 5e-3}, good: {schedule: full, optimizer.lr: 1e-3}}\n"


def outcomes(folder: Path) -> list[str]:
    return [record["outcome"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "exited"]


def no_process_is_left(folder: Path) -> None:
    assert not [place for _, place in marked() if place.startswith(str(folder))]


def states(found: StudyView) -> list[str]:
    return [str(trial.told and trial.told.state) for trial in found.study.trials.values()]


def test_a_stopped_process_is_killed_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_HANG_ONCE", "1")
    folder = tmp_path / "small"
    assert run(small_study(tmp_path, TWO, "1e-3"), folder, machine={"stall_minutes": 0.06}) == 0
    for record in check_ended_once(folder).runs.values():
        assert record.resumed_from == [20]
    assert sorted(outcomes(folder)) == ["finished", "finished", "stalled", "stalled"]
    no_process_is_left(folder)


def test_a_run_that_takes_too_long_is_stopped_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.2")
    folder, study = tmp_path / "small", small_study(tmp_path, "", "1e-3")
    assert run(study, folder, machine={"timeout": 2}) == 1
    (told,) = [trial.told for trial in view(folder).study.trials.values()]
    assert told is not None
    assert (told.state, told.reason) == ("FAIL", "took longer than 2 s")
    assert outcomes(folder) == ["timed_out"]
    step = view(folder).runs[0, 0].step
    assert 0 < step < 40
    monkeypatch.setenv("FAKE_STEP", "0")
    request(folder, "retry", trial=None)
    assert run(study, folder, machine={"timeout": 60}) == 0
    (record,) = check_ended_once(folder).runs.values()
    assert record.resumed_from == [step]  # nothing was lost


@pytest.mark.parametrize(("variable", "reason"), [("FAKE_CRASH", "as told"), ("FAKE_MEMORY", "CUDA out of memory")])
def test_a_new_chance_for_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    monkeypatch.setenv(variable, "4e-3")
    monkeypatch.setenv("FAKE_MEND", str(tmp_path / "mended"))
    folder = tmp_path / "small"
    search = TWO + "search: {sampler: random, trials: 8, seed: 3}\n"
    study = small_study(tmp_path, search)
    assert run(study, folder, machine={"retries": 1}) == 1
    before = view(folder)
    failed = [trial.number for trial in before.study.trials.values() if trial.told and trial.told.state == "FAIL"]
    assert len(failed) > 1
    assert all(trial.launches[0].launches == 2 for trial in before.study.trials.values() if trial.number in failed)
    assert all(
        reason in str(trial.told and trial.told.reason)
        for trial in before.study.trials.values()
        if trial.number in failed
    )
    if variable == "FAKE_CRASH":
        assert before.study.trials[0].launches[0].lines[-1] == "ValueError: as told"
    (tmp_path / "mended").touch()
    request(folder, "retry", trial=failed[-1])
    assert run(study, folder, machine={"retries": 1}) == 1
    assert states(view(folder)).count("FAIL") == len(failed) - 1
    request(folder, "retry", trial=None)
    request(folder, "retry", trial=before.study.trials[1].number)  # it did not fail: nothing to do
    assert run(study, folder, machine={"retries": 1}) == 0
    found = check_ended_once(folder)
    assert set(states(found)) == {"COMPLETE"}
    assert not list((folder / FOLDER).iterdir())
    (folder / "study.journal").unlink()  # the storage is built again, the failed questions included
    assert run(study, folder, machine={"retries": 1}) == 0
    check_optuna(found)


def check_optuna(found: StudyView) -> None:
    """Optuna holds every question as the records do, none of them open."""
    from pld_search.search.optuna.storage import open_storage

    storage = open_storage(found.folder)
    (study,) = storage.get_all_studies()
    stored = storage.get_all_trials(study._study_id)
    questions = sorted(
        (question for trial in found.study.trials.values() for question in trial.questions()),
        key=lambda question: question.number,
    )
    assert [trial.params for trial in stored] == [question.params for question in questions]
    states = [question.told and question.told.state for question in questions]
    # what was given up is a failure in the records, and in Optuna a question that violates a constraint
    assert [trial.state.name for trial in stored] == ["PRUNED" if state == "FAIL" else state for state in states]


def test_a_request_to_stop_checkpoints_and_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.02")
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 2, EVERY))
    request(folder, "stop", now=False)
    assert finish(coordinator) == (143, "")
    assert view(folder).study.paused
    request(folder, "stop", now=False)  # nobody is there: the next coordinator does not mean itself
    monkeypatch.setenv("FAKE_STEP", "0")
    assert finish(start(tmp_path, folder)) == (0, "")
    for record in check_ended_once(folder).runs.values():
        assert record.executed_steps == 40


def test_a_request_to_stop_now_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.05")
    monkeypatch.setenv("FAKE_DEAF", "1")
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 2, EVERY))
    request(folder, "stop", now=True)
    assert finish(coordinator) == (143, "")
    assert not any(alive(*process) for process in launched(folder))


def test_two_ranks_are_one_run_and_end_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost rank is a killed run that resumes; a killed launcher leaves no rank behind, nor does a killed
    coordinator.
    """
    monkeypatch.setenv("FAKE_STEP", "0.1")
    folder = tmp_path / "small"
    machine = tmp_path / "machine.yaml"
    machine.write_text("gpus_per_run: 2\nthreads: 1\n")
    monkeypatch.setenv("COORDINATE_MACHINE", str(machine))
    coordinator = start(tmp_path, folder, "", "1e-3")
    wait_until(reached(folder, 1, EVERY))
    (pid, _), ranks = launched(folder)[0], ranks_of(folder)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    wait_until(lambda: outcomes(folder) == ["killed"])
    wait_until(lambda: len(ranks_of(folder)) == 2 and pid != launched(folder)[-1][0])
    os.kill(launched(folder)[-1][0], signal.SIGKILL)
    wait_until(lambda: outcomes(folder) == ["killed", "killed"])
    assert not set(ranks) & set(ranks_of(folder))
    wait_until(lambda: len(ranks_of(folder)) == 2)
    coordinator.kill()
    coordinator.communicate()
    left = ranks_of(folder)  # the fake ranks set no death signal: the next coordinator finds them
    monkeypatch.setenv("FAKE_STEP", "0")
    assert finish(start(tmp_path, folder, "", "1e-3")) == (0, "")
    assert not set(left) & set(ranks_of(folder))
    (record,) = check_ended_once(folder).runs.values()
    assert record.executed_steps <= 40 + EVERY * len(record.resumed_from)
    assert record.started.execution["mode"] == "replicate"
    no_process_is_left(folder)


def ranks_of(folder: Path) -> list[int]:
    """The processes of a study's runs that are ranks."""
    return sorted(
        process.pid for process, place in marked() if place.startswith(str(folder)) and "rank" in process.cmdline()
    )


def test_survivors_of_another_machine_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(
        ["sleep", "60"], env={**os.environ, "PLD_SEARCH_RUN": str(tmp_path)}, process_group=0
    ) as sleeper:
        LocalLauncher().end_survivors(
            [(tmp_path, LaunchRecord(pid=sleeper.pid, process_started=0.0, host="elsewhere"))]
        )
        assert sleeper.poll() is None
        # its pid is forgotten, its mark is not
        LocalLauncher().end_survivors([(tmp_path, LaunchRecord(pid=1, process_started=0.0, host=host()))])
        assert sleeper.wait(timeout=10) == -signal.SIGKILL
