"""One row a run: what `report --json` prints, `report.csv` holds and every other view of a study starts from."""

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
"""What was expected when the run was asked for, beside what was measured of it."""


def rows(view: StudyView) -> list[Row]:
    """A row for every (trial, seed) that was asked for, by trial and seed index; metric names are keys, absent where
    not measured.

    `reused_from` is TRIAL/SEED_INDEX of the equal run whose result counts here, or None; what that run spent is not
    spent twice.
    `state` is new | running | finished | diverged | stopped | paused | pruned (stopped early) | failed | rejected;
    `steps` is T, `step` what was reached.
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
    """`TRIAL/SEED_INDEX` of the run whose result is reused; None for a run of its own."""
    return "/".join(str(word) for word in trial.reused[index]) if index in trial.reused else None


def schedule_name(trial: TrialRecord, run: RunRecord) -> str:
    """The schedule's name, or its families where it has none."""
    return trial.asked.schedule or (run.schedule if run.experiment_tree else trial.schedule).label
