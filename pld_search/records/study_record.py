"""What only the coordinator of a study knows: `study.jsonl`, folded by the coordinator itself, mirror and report.

Every record has `event`, `seq` and `time`. The kinds:

    created    id, name, device, definition (the study as resolved, canonical), identity (digests a continuation must
               match)
    opened     pid, process_started, host: a coordinator took the study up; definition where it changed (more trials,
               more seeds)
    prepared   corpus (with its statistics), tasks, checkpoint, folders (content digest -> place)
    profiled   architecture, profile (forecast/profile.py): what its seconds and memory are counted with from here on
    asked      trial, kind (system | tuning | sampled), system, sampler_study, number (Optuna's), params, distributions,
               digest, steps, schedule (its name), seeds (list of seed indices), forecast, experiment (canonical, its
               seed that of index 0; None for a configuration that could not be built), problem and constraints (why it
               is rejected), rungs (the steps at which it is judged; empty where it runs to the end undisturbed)
    reseeded   trial, seeds: the study now asks for more seeds of this configuration
    rejected   trial, reason, constraint: could not be built or violates a forecast constraint; never trained
    launching  the same as `launched` without where it is found, before a job is handed in that outlives the
               coordinator: one that dies
               between the two has left a job that is found by its name
    launched   trial, seed_index, launch (1, 2, ...), launcher (local | ray | slurm), name (of this launch alone), slot,
               command, until (the step to
               pause at) and branch (the step it left the run at), None for the run to its end; and where it is found
               again: a process of this machine's pid, process_started, host, or a cluster's job (its name there)
    exited     trial, seed_index, launch, code, outcome (finished | diverged | paused | branched | stopped | crashed |
               out_of_memory | killed |
               stalled | timed_out | disk_full | lost_node), reason, lines (the end of run.log, where the run failed),
               seconds since it was launched
    reused     trial, seed_index, from {trial, seed_index}: the same digest and seed had ended there; its result counts
               here, nothing is trained
    rung       trial, rung (0, 1, ...), steps, step (of the rung as Optuna counts it), values: it is judged by these,
               one an objective, means over seeds
    promoted   trial, rung: it goes on from this rung to the next, or to the end; who is not promoted is told PRUNED at
               last
    confirming trial, seeds: fresh runs, from seed index 1000 on, that the told values do not count; the test split is
    theirs alone
    told       trial, state (COMPLETE | PRUNED | FAIL), values, sd (over seeds), constraints (feasible when <= 0),
               reason; once more after `reseeded`
    retried    trial, number (Optuna's new one): a trial told FAIL gets a new chance, its runs from their checkpoints;
               or trial, seeds: its runs of these indices, which were to confirm it and failed, get one, and it stays
               told
    chosen     system, trial, spent: this trial is the system's row; for a tuned system the best of `spent` tuning
               trials
    storage    away, reason: Optuna's storage could not be reached, or can be again; what it was not told waits
    paused     reason: the coordinator stopped before the study was done
    completed  nothing is left to do
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pld_search.records import jsonl
from pld_search.records.run_record import RunRecord, branch_folder, fold_run
from pld_search.records.trial_record import RunKey, TrialRecord, apply_to_trial


class StudyWriter:
    """The coordinator's own appender; every record reaches the disk before the coordinator acts on it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._seq = len(jsonl.read(path))
        self._writer = jsonl.Writer(path)
        self._clock = clock

    def write(self, event: str, **fields: Any) -> dict[str, Any]:
        record = {"event": event, "seq": self._seq, "time": self._clock(), **fields}
        self._writer.write(record, durable=True)
        self._seq += 1
        return record

    def close(self) -> None:
        self._writer.close()


@dataclass(slots=True)
class StudyRecord:
    """The fold of a study's records."""

    created: dict[str, Any] | None = None
    prepared: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    trials: dict[int, TrialRecord] = field(default_factory=dict)
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    completed: bool = False
    paused: bool = False
    storage_away: str | None = None
    first_time: float | None = None
    last_time: float | None = None


def fold(events: Iterable[Mapping[str, Any]]) -> StudyRecord:
    """The one reader of a study's records."""
    record = StudyRecord()
    for event in events:
        apply(record, event)
    return record


def apply(record: StudyRecord, event: Mapping[str, Any]) -> None:
    """Take one more record into the fold."""
    event, kind = dict(event), event["event"]
    record.first_time = event["time"] if record.first_time is None else record.first_time
    record.last_time = event["time"]
    record.paused = kind == "paused"
    # looking at a study again does not undo its completion; new work does
    if kind not in ("opened", "prepared", "profiled", "storage"):
        record.completed = kind == "completed"
    if kind == "created":
        record.created = event
    elif kind == "opened":
        record.session, record.storage_away = event, None
    elif kind == "prepared":
        record.prepared = event
    elif kind == "asked":
        record.trials[event["trial"]] = TrialRecord(event["trial"], event["kind"], event["system"], event)
    elif kind == "profiled":
        record.profiles[event["architecture"]] = event["profile"]
    elif kind == "chosen":
        record.chosen[event["system"]] = event
    elif kind == "storage":
        record.storage_away = event["reason"] if event["away"] else None
    elif "trial" in event:
        apply_to_trial(record.trials[event["trial"]], event)


def trial_folder(study: Path, trial: int, seed_index: int) -> Path:
    """`<study>/trials/0007/seed-0`."""
    return study / "trials" / f"{trial:04d}" / f"seed-{seed_index}"


def run_folder(study: Path, trial: TrialRecord, seed_index: int) -> Path:
    """Where the events that count for a run lie: its own folder, or that of the equal run it reuses."""
    return trial_folder(study, *trial.source(seed_index))


@dataclass(slots=True)
class StudyView:
    """A study and all its runs, read from files only: `runs` is keyed by (trial, seed index), `branches` by rung
    besides.
    """

    folder: Path
    study: StudyRecord
    runs: dict[RunKey, RunRecord]
    branches: dict[tuple[int, int, int], RunRecord] = field(default_factory=dict)


def view(folder: Path) -> StudyView:
    """Fold `study.jsonl` and the events of every run that was asked for."""
    study = fold(jsonl.read(folder / "study.jsonl"))
    runs = {
        (trial.number, index): fold_run(run_folder(folder, trial, index))
        for trial in study.trials.values()
        for index in trial.indices
    }
    left = [
        (trial, index, rung)
        for trial in study.trials.values()
        for index, steps in trial.branched.items()
        for rung, at in enumerate(trial.rung_steps)
        if at in steps
    ]
    branches = {
        (trial.number, index, rung): fold_run(
            branch_folder(trial_folder(folder, trial.number, index), trial.rung_steps[rung])
        )
        for trial, index, rung in left
    }
    return StudyView(folder, study, runs, branches)
