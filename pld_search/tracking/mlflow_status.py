"""How a run and a study stand: in MLflow's words, a status, and in ours, the tags `state` and `outcome`.

MLflow's statuses say whether something went wrong, so a run that early stopping ended is FINISHED, and `outcome` says
where; KILLED and FAILED are what somebody may want to look at. A run that waits at a rung is SCHEDULED: it may go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pld_search.host.processes import alive, host
from pld_search.records.run import RunRecord
from pld_search.records.study import StudyRecord
from pld_search.records.trial import LaunchRecord, TrialRecord

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
OPEN = ("RUNNING", "SCHEDULED")
"""Statuses of a run that goes on: it has no end yet."""
_UNFINISHED = ("crashed", "out_of_memory", "killed", "stalled", "timed_out", "disk_full", "lost_node")


@dataclass(frozen=True, slots=True)
class MlflowStanding:
    """`state` is one word to filter by, `outcome` says it to people: `pruned at rung 1 of 2 (step 400)`."""

    status: Status
    state: str
    outcome: str


def run_standing(trial: TrialRecord, index: int, run: RunRecord) -> MlflowStanding:
    """How the run of a seed stands: what its events say, what was decided about its trial, else how its
    process ended.
    """
    launch = trial.launches.get(index)
    if run.state == "finished":
        return MlflowStanding("FINISHED", "finished", "finished")
    if run.state == "diverged":
        return MlflowStanding(
            "FINISHED", "diverged", f"diverged at step {run.step:,}" + (f" ({run.kind})" if run.kind else "")
        )
    if launch is not None and launch.outcome is None and _goes_on(launch):
        return MlflowStanding("RUNNING", "running", _under_way(trial, launch))
    if run.state == "paused" and (trial.open or (trial.told or {}).get("state") == "PRUNED"):
        return _at_a_rung(trial, run)
    return _unfinished(run, launch)


def _goes_on(launch: LaunchRecord) -> bool:
    return launch.job is not None or _lives(launch.pid, launch.process_started, launch.host)


def _under_way(trial: TrialRecord, launch: LaunchRecord) -> str:
    steps = trial.rung_steps
    if launch.branch in steps:
        return f"running the branch of {_rung(steps, launch.branch)}"
    return f"running to {_rung(steps, launch.until)}" if launch.until in steps else "running"


def _at_a_rung(trial: TrialRecord, run: RunRecord) -> MlflowStanding:
    place = _rung(trial.rung_steps, run.step)
    return (
        MlflowStanding("SCHEDULED", "paused", f"waiting at {place}")
        if trial.open
        else MlflowStanding("FINISHED", "pruned", f"pruned at {place}")
    )


def _rung(steps: list[int], step: int | None) -> str:
    return f"rung {steps.index(step) + 1} of {len(steps)} (step {step:,})" if step in steps else f"step {step or 0:,}"


def _unfinished(run: RunRecord, launch: LaunchRecord | None) -> MlflowStanding:
    how = launch.outcome if launch is not None and launch.outcome in _UNFINISHED else None
    failed = run.state == "failed" or how in ("crashed", "out_of_memory")
    state = "failed" if failed else run.state if run.state in ("stopped", "paused") else "killed"
    return MlflowStanding(
        "FAILED" if failed else "KILLED", state, f"{(how or state).replace('_', ' ')} at step {run.step:,}"
    )


def _lives(pid: int | None, started: float | None, where: str | None) -> bool:
    """On another machine a process is taken to live until its end was recorded."""
    if pid is None or started is None:
        return False
    return alive(pid, started) if where in (None, host()) else True


def study_status(study: StudyRecord) -> Status:
    """FINISHED when nothing is left to do, RUNNING while a coordinator lives, KILLED otherwise."""
    if study.completed:
        return "FINISHED"
    session = study.session or {}
    running = not study.paused and _lives(session.get("pid"), session.get("process_started"), session.get("host"))
    return "RUNNING" if running else "KILLED"
