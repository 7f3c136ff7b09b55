"""The demo's study under `kill -9`: of its coordinator and of its runs, at random moments; then the same command.

The study is the shipped one at a reduced budget, with the real trainer, tasks and mirror. Moments come from a fixed
seed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pld_search.host.processes import alive
from pld_search.records import jsonl
from pld_search.records.study_record import StudyView, view

STEPS, CHECKPOINT_EVERY = 24, 6
COMMAND = [
    sys.executable,
    "-m",
    "pld_search",
    "run",
    "demo",
    "--slots",
    "2",
    "--set",
    f"machine.checkpoint_every={CHECKPOINT_EVERY}",
]
KILLS_OF_COORDINATOR, KILLS_OF_RUNS = 4, 8
KILLS_OF_ONE = 2  # as often as a run is tried again
Key = tuple[int, int]


def start(place: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PLD_SEARCH_STEPS": str(STEPS), "NO_COLOR": "1"}
    with (place / "log").open("ab") as log:
        return subprocess.Popen(COMMAND, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True)


def under_way(folder: Path) -> dict[Key, int]:
    """The pid of every run whose process lives and has made progress of its own, so that there is something to lose."""
    seen, found = view(folder), {}
    for trial in seen.study.trials.values():
        for index, launch in trial.launches.items():
            run = seen.runs[trial.number, index]
            begun = run.resumed_from[-1] if run.resumed_from else 0
            lives = (
                launch.outcome is None and launch.pid is not None and alive(launch.pid, launch.process_started or 0.0)
            )
            if (
                lives
                and run.state == "running"
                and (run.last_time or 0.0) > (launch.process_started or 0.0)
                and run.step > begun
            ):
                found[trial.number, index] = launch.pid or 0
    return found


def wait_for(coordinator: subprocess.Popen[bytes], folder: Path, spared: set[Key]) -> dict[Key, int]:
    """Until a run that is not spared is under way; empty when the study ended first."""
    while coordinator.poll() is None:
        found = {key: pid for key, pid in under_way(folder).items() if key not in spared}
        if found:
            return found
        time.sleep(0.1)
    return {}


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_every_run_ends_once_whoever_is_killed(tmp_path: Path) -> None:
    chance, folder = random.Random(20), tmp_path / "runs" / "demo"
    whom = ["coordinator"] * KILLS_OF_COORDINATOR + ["run"] * KILLS_OF_RUNS
    chance.shuffle(whom)
    killed: list[Key | None] = []
    coordinator = start(tmp_path)
    for victim in whom:
        spared = {key for key in killed if key is not None and killed.count(key) == KILLS_OF_ONE}
        found = wait_for(coordinator, folder, spared if victim == "run" else set())
        if not found:
            break
        if victim == "coordinator":
            coordinator.kill()
            coordinator.wait()
            coordinator = start(tmp_path)
            killed.append(None)
        else:
            key = chance.choice(sorted(found))
            os.kill(found[key], signal.SIGKILL)
            killed.append(key)
        time.sleep(chance.uniform(0, 3))
    assert coordinator.wait(timeout=1500) == 0
    print(f"kills: {killed.count(None)} of the coordinator, of runs {[key for key in killed if key is not None]}")
    assert killed.count(None) >= 2
    assert len(killed) - killed.count(None) >= 4
    check(view(folder), {key for key in killed if key is not None})


def check(seen: StudyView, killed: set[Key]) -> None:
    finished = [
        record
        for record in jsonl.read(seen.folder / "study.jsonl")
        if record["event"] == "exited" and record["outcome"] == "finished"
    ]
    assert sorted((record["trial"], record["seed_index"]) for record in finished) == sorted(seen.runs)
    assert seen.study.completed
    assert len(seen.runs) >= 8
    assert not under_way(seen.folder)
    for key, run in seen.runs.items():
        events = jsonl.read(seen.folder / "trials" / f"{key[0]:04d}" / f"seed-{key[1]}" / "events.jsonl")
        assert [event["event"] for event in events].count("finished") == 1
        total = run.started.experiment["steps"]
        # each resume repeats at most what was done since its checkpoint: one interval, and the step in flight
        assert run.executed_steps <= total + (CHECKPOINT_EVERY + 1) * len(run.resumed_from), key
        assert run.resumed_from or key not in killed
        print(
            key,
            run.state,
            f"T={total}",
            f"executed={run.executed_steps}",
            f"attempts={run.attempt}",
            f"resumed from {run.resumed_from}",
        )
