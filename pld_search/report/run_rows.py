"""One row a run: what `report --json` prints, `report.csv` holds and every other view of a study starts from."""

from __future__ import annotations

from typing import Any

from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import StudyView
from pld_search.records.trial_record import ENDED, TrialRecord

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
_STOPPED = ("stopped", "disk_full", "lost_node")


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
    reason = run.reason or (launch.reason if launch else None) or (trial.rejected or trial.told or {}).get("reason")
    identity: Row = {
        "trial": trial.number,
        "system": trial.system,
        "kind": trial.kind,
        "schedule": schedule_name(trial, run),
        "seed": run.started.get("seed", index),
        "seed_index": index,
        "state": state_of(trial, index, run),
        "steps": trial.asked.get("steps"),
        "digest": trial.asked.get("digest"),
        "step": run.step,
        "executed_steps": run.executed_steps,
        "reused_from": reused_from(trial, index),
        "reason": reason,
    }
    forecast = trial.asked.get("forecast") or {}
    return identity | {name: forecast[name] for name in FORECAST if name in forecast} | dict(sorted(run.final.items()))


def state_of(trial: TrialRecord, index: int, run: RunRecord) -> str:
    """The run's own state; where it could not say how it ended, what the coordinator saw."""
    if trial.rejected is not None:
        return "rejected"
    if run.state == "paused" and trial.told is not None and trial.told["state"] == "PRUNED":
        return "pruned"
    launch = trial.launches.get(index)
    if run.state in ("new", "running") and launch is not None and launch.outcome is not None:
        return run.state if launch.outcome in ENDED else "stopped" if launch.outcome in _STOPPED else "failed"
    return run.state


def reused_from(trial: TrialRecord, index: int) -> str | None:
    """`TRIAL/SEED_INDEX` of the run whose result is reused; None for a run of its own."""
    return "/".join(str(word) for word in trial.reused[index]) if index in trial.reused else None


def schedule_name(trial: TrialRecord, run: RunRecord) -> str:
    """The schedule's name, or its families where it has none."""
    schedule = (run.started.get("experiment") or trial.asked.get("experiment") or {}).get("schedule", {})
    name = trial.asked.get("schedule") or schedule.get("name")
    if name:
        return str(name)
    if schedule:
        return f"{schedule['temporal']['kind']} x {schedule['depth']['kind']}"
    return ""


def columns(table: list[Row]) -> list[str]:
    """Every key of the rows: identity first, then metric names in order."""
    metrics = sorted({key for row in table for key in row} - set(IDENTITY))
    return [*IDENTITY, *metrics]
