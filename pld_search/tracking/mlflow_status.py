"""Translates the status of a run and a study (records/status.py) to MLflow: a status, and the tags `state` and
`outcome`.

MLflow's statuses show whether something went wrong. So a run that early stopping ended is FINISHED, and `outcome` says
where it ended; KILLED and FAILED deserve a look. A run that waits at a rung is SCHEDULED, because it may go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pld_search.records import status
from pld_search.records.run_record import RunRecord
from pld_search.records.status import RungPlace, RunStatus
from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import TrialRecord

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
OPEN = ("RUNNING", "SCHEDULED")
"""Statuses of a run that goes on and has no end yet."""
_OF_STUDY: dict[status.StudyStatus, Status] = {"completed": "FINISHED", "running": "RUNNING", "paused": "KILLED"}


@dataclass(frozen=True, slots=True)
class MlflowStanding:
    """`state` is one word to filter by; `outcome` is a text for readers: `pruned at rung 1 of 2 (step 400)`."""

    status: Status
    state: str
    outcome: str


def run_standing(trial: TrialRecord, index: int, run: RunRecord) -> MlflowStanding:
    """Returns the status of a seed's run in MLflow's words."""
    found = status.run_status(trial, index, run)
    if found.recorded == "finished":
        return MlflowStanding("FINISHED", "finished", "finished")
    if found.recorded == "diverged":
        kind = f" ({found.kind})" if found.kind else ""
        return MlflowStanding("FINISHED", "diverged", f"diverged at step {found.step:,}{kind}")
    if found.lives:
        return MlflowStanding("RUNNING", "running", _under_way(found))
    if found.at is not None:
        if found.state == "paused":
            return MlflowStanding("SCHEDULED", "paused", f"waiting at {_rung(found.at)}")
        return MlflowStanding("FINISHED", "pruned", f"pruned at {_rung(found.at)}")
    return _unfinished(found)


def _under_way(found: RunStatus) -> str:
    if found.branch is not None:
        return f"running the branch of {_rung(found.branch)}"
    return f"running to {_rung(found.until)}" if found.until is not None else "running"


def _rung(place: RungPlace) -> str:
    if place.rung is None:
        return f"step {place.step:,}"
    return f"rung {place.rung} of {place.count} (step {place.step:,})"


def _unfinished(found: RunStatus) -> MlflowStanding:
    failed = found.recorded == "failed" or found.outcome in ("crashed", "out_of_memory")
    state = "failed" if failed else found.recorded if found.recorded in ("stopped", "paused") else "killed"
    how = (found.outcome or state).replace("_", " ")
    return MlflowStanding("FAILED" if failed else "KILLED", state, f"{how} at step {found.step:,}")


def study_status(study: StudyRecord) -> Status:
    """Returns FINISHED when nothing is left to do, RUNNING while a coordinator lives, KILLED otherwise."""
    return _OF_STUDY[status.study_status(study)]
