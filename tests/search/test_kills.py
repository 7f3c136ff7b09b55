"""Real processes and real signals: what was begun is finished once, whoever was killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pld_search.host.processes import alive
from pld_search.records import jsonl
from pld_search.records.study_record import view
from tests.search.fake_trainer import EVERY
from tests.search.studies import check_ended_once, small_study

STUDY = "systems:\n  full: {schedule: full, seeds: 2}\n  pld: {schedule: pld, seeds: 2}\nreference: full\n"
COORDINATE = Path(__file__).with_name("coordinate.py")


def start(tmp_path: Path, folder: Path, more: str = STUDY, lr: str = "1e-3") -> subprocess.Popen[bytes]:
    small_study(tmp_path, more, lr)
    return subprocess.Popen(
        [sys.executable, str(COORDINATE), str(tmp_path / "small.yaml"), str(folder), "2"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until(true: Callable[[], bool], limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not true():
        if time.monotonic() > end:
            pytest.fail("it did not happen")
        time.sleep(0.01)


def reached(folder: Path, count: int, step: int) -> Callable[[], bool]:
    """Whether at least `count` runs have got to `step`."""
    return lambda: sum(record.step >= step for record in view(folder).runs.values()) >= count


def launched(folder: Path) -> list[tuple[int, float]]:
    """(pid, start) of every process launched so far."""
    records = jsonl.read(folder / "study.jsonl")
    return [(record["pid"], record["process_started"]) for record in records if record["event"] == "launched"]


def finish(coordinator: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, errors = coordinator.communicate(timeout=120)
    return coordinator.returncode, errors.decode()


def check_steps(folder: Path) -> None:
    for record in check_ended_once(folder).runs.values():
        assert record.executed_steps <= 40 + EVERY * len(record.resumed_from)


def test_kill_9_of_a_run_and_of_the_coordinator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.02")
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 2, EVERY))
    os.kill(launched(folder)[0][0], signal.SIGKILL)
    wait_until(lambda: len(launched(folder)) == 3)
    wait_until(reached(folder, 2, 2 * EVERY))
    coordinator.kill()
    coordinator.communicate()
    wait_until(lambda: not any(alive(*process) for process in launched(folder)))  # they die with it
    before = len(launched(folder))
    assert finish(start(tmp_path, folder)) == (0, "")
    check_steps(folder)
    assert 0 < len(launched(folder)) - before <= 4
    assert finish(start(tmp_path, folder)) == (0, "")
    assert len(launched(folder)) - before <= 4
    outcomes = [record["outcome"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "exited"]
    assert outcomes.count("finished") == 4
    assert outcomes.count("killed") == 1


def test_a_search_goes_on_after_its_coordinator_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.005")
    folder, search = tmp_path / "small", "search: {trials: 6}\n"
    for count in (1, 3):
        coordinator = start(tmp_path, folder, search, "{log: [1e-4, 1e-2]}")
        wait_until(lambda count=count: len(launched(folder)) >= count + 1)  # type: ignore[misc]
        coordinator.kill()
        coordinator.communicate()
    assert finish(start(tmp_path, folder, search, "{log: [1e-4, 1e-2]}")) == (0, "")
    check_steps(folder)
    trials = view(folder).study.trials
    assert len(trials) == 6
    assert [trial.asked.number for trial in trials.values()] == list(range(6))
    assert len({trial.asked.params["optimizer.lr"] for trial in trials.values()}) == 6


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_checkpoints_and_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.02")
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 2, EVERY))
    coordinator.send_signal(number)
    assert finish(coordinator) == (code, "")
    found = view(folder)
    assert found.study.paused
    stopped = [record for record in found.runs.values() if record.state == "stopped"]
    assert stopped
    monkeypatch.setenv("FAKE_STEP", "0")
    assert finish(start(tmp_path, folder)) == (0, "")
    for record in check_ended_once(folder).runs.values():
        assert record.executed_steps == 40  # a stop loses nothing


def test_a_second_signal_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.05")
    monkeypatch.setenv("FAKE_DEAF", "1")
    folder = tmp_path / "small"
    coordinator = start(tmp_path, folder)
    wait_until(reached(folder, 2, EVERY))
    coordinator.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert coordinator.poll() is None
    coordinator.send_signal(signal.SIGINT)
    assert finish(coordinator) == (130, "")
    assert not any(alive(*process) for process in launched(folder))
    assert not any(trial.told for trial in view(folder).study.trials.values())


def test_a_second_coordinator_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.2")
    folder = tmp_path / "small"
    first = start(tmp_path, folder)
    wait_until(reached(folder, 1, EVERY))
    code, message = finish(start(tmp_path, folder))
    assert code == 1
    assert f"process {first.pid} on " in message
    first.send_signal(signal.SIGTERM)
    assert finish(first)[0] == 143
