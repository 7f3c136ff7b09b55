"""Faults with real processes: kill -9 at random moments, a tracking server that goes and comes, a full disk, many
simulated runs.

Afterwards each run ended once, took no step more than T and what its kills cost, MLflow agrees run by run, and nothing
is
left: no process, no RUNNING state. Moments come from a fixed seed; the trainer is the fake one
(tests/search/fake_trainer.py).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.coordinator import measure, storages
from pld_search.host.processes import marked
from pld_search.records import jsonl
from pld_search.records.study_record import StudyView, trial_folder, view
from tests.search.fake_trainer import EVERY
from tests.search.studies import check_ended_once, trainer_environment
from tests.search.test_failures import check_optuna
from tests.search.test_kills import finish, launched, reached, start, wait_until
from tests.small_disk import BALLAST, leave_free, needed, small_disk

KILLS = 30
STUDY = """
systems:
  full: {schedule: full, optimizer.lr: 1e-3, seeds: 3}
  pld: {schedule: pld, tune: 4}
reference: full
search: {sampler: tpe, trials: 10, seed: 0}
"""
OPEN_LR = "{log: [1e-4, 1e-2]}"


@pytest.fixture(autouse=True)
def _fake_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer_environment(monkeypatch.setenv)


def processes(folder: Path) -> list[tuple[int, str]]:
    """Every living process of the study's runs: (pid, `launcher` or `rank`)."""
    found = []
    for process, place in marked():
        if place.startswith(str(folder)):
            with contextlib.suppress(Exception):
                found.append((process.pid, "rank" if "rank" in process.cmdline() else "launcher"))
    return found


def check(folder: Path, uri: str) -> StudyView:
    found = check_ended_once(folder)
    for (number, index), run in found.runs.items():
        events = jsonl.read(trial_folder(folder, number, index) / "events.jsonl")
        assert [event["event"] for event in events].count("finished") == 1
        # what was done since the last checkpoint is done again: at most EVERY steps a resume
        assert run.executed_steps <= 40 + EVERY * len(run.resumed_from), (number, index)
    assert found.study.completed
    assert all(trial.told and trial.told.state == "COMPLETE" for trial in found.study.trials.values())
    check_optuna_studies(found)
    check_mlflow(found, uri)
    assert not processes(folder)
    return found


def check_optuna_studies(found: StudyView) -> None:
    from pld_search.search.optuna.storage import open_storage

    storage = open_storage(found.folder)
    states = [
        trial.state.name for study in storage.get_all_studies() for trial in storage.get_all_trials(study._study_id)
    ]
    assert states == ["COMPLETE"] * 14


def check_mlflow(found: StudyView, uri: str) -> None:
    from pld_search.tracking.mlflow_mirror import mirror
    from pld_search.tracking.mlflow_store import open_store

    mirror(found.folder, uri)
    store = open_store(uri, found.folder.parent, found.study.name, found.study.id)
    children = store.search("tags.level = 'seed'")
    shown = {run.data.tags["pld.key"]: run for run in children}
    assert len(shown) == len(children) == len(found.runs)
    assert {run.info.status for run in store.search("")} == {"FINISHED"}
    for (number, index), run in found.runs.items():
        other = shown[f"{number}/{index}"].data
        assert other.tags["executed_steps"] == str(run.executed_steps)
        assert other.metrics["valid/loss"] == pytest.approx(run.final["valid/loss"])
        assert other.metrics["train/loss"] == run.final["train/loss"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_kills_of_coordinator_runs_and_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, folder, uri = random.Random(5), tmp_path / "runs" / "small", f"sqlite:///{tmp_path}/mlflow.db"
    machine = tmp_path / "machine.yaml"
    machine.write_text("gpus_per_run: 2\nthreads: 1\nretries: 40\n")
    monkeypatch.setenv("COORDINATE_MACHINE", str(machine))
    monkeypatch.setenv("FAKE_STEP", "0.1")
    monkeypatch.setenv("COORDINATE_MIRROR", uri)
    whom = ["coordinator", "launcher", "rank"] * (KILLS // 3)
    chance.shuffle(whom)
    coordinator = start(tmp_path, folder, STUDY, OPEN_LR)
    for victim in whom:
        wait_until(
            lambda victim=victim: [each for each in processes(folder) if victim in ("coordinator", each[1])] != [], 120
        )  # type: ignore[misc]
        time.sleep(chance.uniform(0, 1.5))
        if victim == "coordinator":
            coordinator.kill()
            coordinator.communicate()
            coordinator = start(tmp_path, folder, STUDY, OPEN_LR)
        else:
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(chance.choice([pid for pid, kind in processes(folder) if kind == victim]), signal.SIGKILL)
    monkeypatch.setenv("FAKE_STEP", "0.002")
    coordinator.kill()
    coordinator.communicate()
    assert finish(start(tmp_path, folder, STUDY, OPEN_LR)) == (0, "")
    found = check(folder, uri)
    outcomes = [record["outcome"] for record in jsonl.read(folder / "study.jsonl") if record["event"] == "exited"]
    print(
        {outcome: outcomes.count(outcome) for outcome in set(outcomes)},
        sum(run.executed_steps for run in found.runs.values()),
        len(found.runs) * 40,
    )
    assert outcomes.count("killed") >= KILLS // 3


@contextlib.contextmanager
def tracking_server(place: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{place}/server.db",
        "--artifacts-destination",
        str(place / "art"),
    ]
    with (place / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"], stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: answers(port), 180)
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_a_tracking_server_is_killed_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder, uri = tmp_path / "runs" / "small", f"http://127.0.0.1:{port}"
    monkeypatch.setenv("COORDINATE_MIRROR", uri)
    monkeypatch.setenv("FAKE_STEP", "0.1")
    with tracking_server(tmp_path, port):
        coordinator = start(tmp_path, folder, STUDY, OPEN_LR)
        wait_until(reached(folder, 2, EVERY), 120)
    assert not answers(port)
    before = len(launched(folder))
    wait_until(lambda: len(launched(folder)) > before + 2, 120)  # the study does not wait for it
    with tracking_server(tmp_path, port):
        assert finish(coordinator) == (0, "")
        found = check(folder, uri)
    assert all(len(run.resumed_from) == 0 for run in found.runs.values())


@pytest.mark.soak
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.02")
    with small_disk(tmp_path / "disk", "512k") as mounted:
        disk = needed(mounted)
        folder = disk / "runs" / "small"
        coordinator = start(tmp_path, folder, STUDY, OPEN_LR)
        wait_until(reached(folder, 2, EVERY))
        leave_free(disk, 0)
        code, errors = finish(coordinator)
        assert code == 1
        assert "same command goes on" in errors
        assert "Traceback" not in errors
        assert not processes(folder)
        (disk / BALLAST).unlink()
        monkeypatch.setenv("FAKE_STEP", "0")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        assert finish(start(tmp_path, folder, STUDY, OPEN_LR)) == (0, "")
        for run in check_ended_once(folder).runs.values():
            assert run.executed_steps <= 40 + EVERY * len(run.resumed_from)
        check_optuna_studies(view(folder))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_eight_slots_and_two_hundred_simulated_runs(tmp_path: Path) -> None:
    with storages(tmp_path) as urls:
        assert {"journal", "sqlite"} <= set(urls)
        for kind, url in urls.items():
            found = measure(tmp_path / kind, 200, 8, url)
            assert (found["exit_code"], found["errors"]) == (0, []), kind
            assert found["asked"] == found["launched"] == found["finished"] == 200
            assert found["duplicates"] == found["storage_away"] == 0
            print(kind, found)
            if kind == "journal":
                check_optuna(view(tmp_path / kind / "runs" / "small"))
