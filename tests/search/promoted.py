"""A study with halving and promotion under `kill -9`, and what must hold afterwards whoever was killed: for the fake
trainer and the real one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pld_search.host.processes import marked
from pld_search.records import jsonl
from pld_search.records.run_record import branch_folder
from pld_search.records.study_record import StudyView, trial_folder, view
from pld_search.tracking.mlflow_mirror import mirror
from pld_search.tracking.mlflow_store import open_store

Coordinator = subprocess.Popen[bytes]
WHOM = ("coordinator", "trunk", "branch")


def processes(folder: Path) -> dict[int, str]:
    """Every living process of the study's runs: pid -> trunk or branch."""
    found = {}
    for process, place in marked():
        if place.startswith(str(folder)):
            with contextlib.suppress(Exception):
                found[process.pid] = "branch" if "--branch" in process.cmdline() else "trunk"
    return found


def kill(victim: str, folder: Path, coordinator: Coordinator, chance: random.Random, longest: float) -> bool:
    """`kill -9` of one process of that kind, most often a moment after it wrote an event; False where the study ended
    before.
    """
    while coordinator.poll() is None:
        found = [pid for pid, kind in processes(folder).items() if victim in ("coordinator", kind)]
        if not found:
            time.sleep(0.005)
            continue
        if chance.random() < 0.8:
            wait_for_events(folder, victim, coordinator)
        time.sleep(chance.uniform(0, longest))
        if victim == "coordinator":
            coordinator.kill()
            coordinator.communicate()
            return True
        left = [pid for pid in found if processes(folder).get(pid) == victim]
        with contextlib.suppress(ProcessLookupError):
            for pid in left[:1]:
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def wait_for_events(folder: Path, victim: str, coordinator: Coordinator) -> None:
    """Until runs, or where a branch is meant branches, have written more than they had."""
    pattern = "trials/*/*/branches/*/events.jsonl" if victim == "branch" else "trials/*/*/events.jsonl"
    before = sum(path.stat().st_size for path in folder.glob(pattern))
    while coordinator.poll() is None and sum(path.stat().st_size for path in folder.glob(pattern)) <= before:
        time.sleep(0.005)


def kills(
    order: list[str], folder: Path, start: Callable[[], Coordinator], chance: random.Random, longest: float
) -> tuple[list[str], Coordinator]:
    """Each in its turn, with the same command again after every kill of the coordinator; who was killed, and the last
    coordinator.
    """
    coordinator, done = start(), []
    for victim in order:
        if not kill(victim, folder, coordinator, chance, longest):
            break
        done.append(victim)
        if victim == "coordinator":
            coordinator = start()
    return done, coordinator


def check(folder: Path, uri: str, eta: int, every: int) -> StudyView:
    """Afterwards; `every`: the most steps between two checkpoints, the one in flight included."""
    found = view(folder)
    assert found.study.completed
    assert not processes(folder)
    for (number, index), record in found.runs.items():
        place = trial_folder(folder, number, index)
        check_attempts(jsonl.read(place / "events.jsonl"), every)
        trial = found.study.trials[number]
        told = trial.told
        assert told is not None
        if told.state == "COMPLETE":
            assert (record.state, record.step) == ("finished", trial.asked.steps)
        else:
            assert (told.state, record.state, record.step) == ("PRUNED", "paused", trial.rungs[-1].steps)
            assert "not promoted from rung" in told.reason
    check_branches(found, every)
    check_promotions(found, eta)
    check_optuna(found)
    check_mlflow(found, uri)
    return found


def restarts(found: StudyView) -> int:
    """Attempts of runs and branches beyond one for each part they were launched for."""
    return sum(
        record.attempt - len(record.pauses) - (record.state == "finished")
        for record in (*found.runs.values(), *found.branches.values())
    )


def check_attempts(events: list[dict[str, Any]], every: int) -> None:
    """It ended once; every attempt goes on from the last checkpoint; what is executed again is what was done since."""
    kinds = [event["event"] for event in events]
    assert kinds.count("finished") <= 1
    assert "finished" not in kinds or kinds[-1] == "finished"
    saved = reached = events[0]["step"]
    for event in events:
        if event["event"] == "resumed":
            # a kill between a checkpoint and its record leaves one that no event names
            assert event["from_step"] in (saved, reached)
            assert reached - event["from_step"] <= every
            saved = reached = event["from_step"]
        elif event["event"] == "checkpoint":
            saved = event["step"]
        reached = max(reached, event["step"])


def check_branches(found: StudyView, every: int) -> None:
    """One at each rung that judged; trained to its end once, and begun again only where it was killed."""
    wanted = {
        (trial.number, index, rung)
        for trial in found.study.trials.values()
        for index in trial.seeds
        for rung in range(len(trial.rungs))
    }
    assert found.branches.keys() == wanted
    exits = [record for record in jsonl.read(found.folder / "study.jsonl") if record["event"] in ("launched", "exited")]
    for (number, index, rung), branch in found.branches.items():
        at = found.study.trials[number].rung_steps[rung]
        events = jsonl.read(branch_folder(trial_folder(found.folder, number, index), at) / "events.jsonl")
        assert [event["event"] for event in events].count("finished") == 1
        own = [record for record in exits if (record["trial"], record["seed_index"]) == (number, index)]
        launches = [
            later for record, later in pairwise(own) if record["event"] == "launched" and record["branch"] == at
        ]
        assert [each["outcome"] for each in launches].count("branched") == 1
        assert launches[-1]["outcome"] == "branched"
        assert branch.attempt <= len(launches)
        assert branch.executed_steps <= (branch.step - at) * branch.attempt


def check_promotions(found: StudyView, eta: int) -> None:
    sampled = [trial for trial in found.study.trials.values() if trial.rung_steps]
    assert sampled
    for rung in range(len(sampled[0].rung_steps)):
        there, gone = (
            sum(each > rung for each in (len(trial.rungs) if kind else trial.promoted for trial in sampled))
            for kind in (1, 0)
        )
        assert 1 <= gone <= max(1, there // eta)


def check_optuna(found: StudyView) -> None:
    from pld_search.search.optuna.storage import open_storage

    storage = open_storage(found.folder)
    (study,) = storage.get_all_studies()
    stored = storage.get_all_trials(study._study_id)
    questions = sorted(
        (question for trial in found.study.trials.values() for question in trial.questions()),
        key=lambda question: question.number,
    )
    assert (
        [trial.number for trial in stored] == [question.number for question in questions] == list(range(len(questions)))
    )
    for trial, question in zip(stored, questions, strict=True):
        assert question.told is not None
        assert (trial.params, trial.state.name, trial.intermediate_values) == (
            question.params,
            question.told.state,
            question.intermediate,
        )
        assert trial.values == (question.told.values or list(question.intermediate.values())[-1:])


def check_mlflow(found: StudyView, uri: str) -> None:
    mirror(found.folder, uri)
    store = open_store(uri, found.folder.parent, found.study.name, found.study.id)
    (parent,) = store.search("tags.level = 'study'")
    assert parent.info.status == "FINISHED"
    own = store.search("tags.level = 'configuration'")
    assert {run.data.tags["mlflow.parentRunId"] for run in own} == {parent.info.run_id}
    runs = store.search("tags.level = 'seed'")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {run.info.run_id for run in own}
    shown = {run.data.tags["pld.key"]: run for run in runs}
    assert len(shown) == len(runs) == len(found.runs)
    for (number, index), record in found.runs.items():
        trial, other = found.study.trials[number], shown[f"{number}/{index}"]
        rungs = len(trial.rung_steps)
        pruned = f"pruned at rung {len(trial.rungs)} of {rungs} (step {record.step:,})"
        assert (other.info.status, other.data.tags["outcome"]) == (
            "FINISHED",
            "finished" if record.state == "finished" else pruned,
        )
        assert other.info.run_name.endswith(" s0" if record.state == "finished" else f" s0, {pruned}")
        assert other.info.end_time is not None
        assert other.data.tags["executed_steps"] == str(record.executed_steps)
        assert other.data.tags["attempts"] == str(record.attempt)
        assert other.data.metrics["valid/loss"] == pytest.approx(record.final["valid/loss"])
        history = store.client.get_metric_history(other.info.run_id, "valid/loss")
        *before, (last, _) = record.series["valid/loss"]  # the last point is the final loss, of more sequences
        assert [(point.step, point.value) for point in history] == [
            (step, pytest.approx(value)) for step, value in [*before, (last, record.final["valid/loss"])]
        ]
