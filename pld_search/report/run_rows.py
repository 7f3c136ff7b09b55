"""One row for each run: the output of `report --json`, and the basis of `report.csv` and all other views of a study."""

from __future__ import annotations

from typing import Any

from pld_search.records.run_record import RunRecord
from pld_search.records.status import run_status
from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import TrialRecord

Row = dict[str, Any]
IDENTITY = (
    "trial",
    "system",
    "kind",
    "schedule",
    "seed",
    "seed_index",
    "state",
    "steps",
    "digest",
    "step",
    "executed_steps",
    "reused_from",
    "reason",
)
FORECAST = ("forecast/expected_layers_mean", "forecast/total_flops", "forecast/seconds")
"""Forecasts made when the run was asked for; they stand beside the run's measurements."""


def rows(view: StudyView) -> list[Row]:
    """Returns a row for every (trial, seed) that was asked for, by trial and seed index; metric names are keys, absent
    when not measured.

    `reused_from` is TRIAL/SEED_INDEX of the equal run whose result counts here, or None; the cost of that run counts
    once. `state` is new | running | finished | diverged | stopped | paused | pruned (stopped early) | failed |
    rejected. `steps` is T, `step` the number of completed steps.
    """
    return [
        _row(trial, index, view.runs[trial.number, index])
        for trial in sorted(view.study.trials.values(), key=lambda t: t.number)
        for index in trial.indices
    ]


def _row(trial: TrialRecord, index: int, run: RunRecord) -> Row:
    launch = trial.launches.get(index)
    reason = run.reason or (launch.reason if launch else None) or trial.why
    identity: Row = {
        "trial": trial.number,
        "system": trial.system,
        "kind": trial.kind,
        "schedule": schedule_name(trial, run),
        "seed": index if run.seed is None else run.seed,
        "seed_index": index,
        "state": run_status(trial, index, run).state,
        "steps": trial.asked.steps,
        "digest": trial.asked.digest,
        "step": run.step,
        "executed_steps": run.executed_steps,
        "reused_from": reused_from(trial, index),
        "reason": reason,
    }
    forecast = trial.asked.forecast
    return identity | {name: forecast[name] for name in FORECAST if name in forecast} | dict(sorted(run.final.items()))


def reused_from(trial: TrialRecord, index: int) -> str | None:
    """Returns `TRIAL/SEED_INDEX` of the run whose result is reused; None for a run with its own result."""
    return "/".join(str(word) for word in trial.reused[index]) if index in trial.reused else None


def schedule_name(trial: TrialRecord, run: RunRecord) -> str:
    """Returns the schedule's name, or its families when it has no name."""
    return trial.asked.schedule or (run.schedule if run.experiment_tree else trial.schedule).label
