"""The status of a run, a trial and a study, decided here for report, `status` and the mirror in MLflow.

The readers keep their own words: a report says `failed` where MLflow says `killed`. They show the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pld_search.host.processes import alive, host
from pld_search.records.run_record import RunRecord, RunState
from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import ENDED, LaunchRecord, TrialRecord

State = Literal["new", "running", "finished", "diverged", "stopped", "paused", "pruned", "failed", "rejected"]
"""The state of a run in reports: `pruned` means stopped early, `rejected` means never trained."""
Activity = Literal["waiting", "starting", "evaluating", "branching"]
"""The activity of a run that has not ended, other than training: it waits for a slot, its process starts, it is
evaluated after the last step, or its branch is trained.
"""
TrialStatus = Literal["open", "complete", "pruned", "failed", "rejected"]
StudyStatus = Literal["completed", "running", "paused"]
_ENDED_BADLY = ("crashed", "out_of_memory", "killed", "stalled", "timed_out", "disk_full", "lost_node")
_STOPPED = ("stopped", "disk_full", "lost_node")
"""Outcomes of a process that ended without a result for a reason outside its run."""


@dataclass(frozen=True, slots=True)
class RungPlace:
    """A step of a run: rung number `rung` (1, 2, ...) of `count`; None for a step that is no rung."""

    step: int
    rung: int | None
    count: int


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The status of the run of one seed.

    `recorded` is the state by its own events. `state` also uses the coordinator's records. `activity` is its activity
    other than training. `lives`: its process or job is running, as far as this machine knows. `outcome` tells how the
    last process failed. `step` is the step reached, `kind` the kind of a divergence or a failure. `at` is the rung at
    which a paused run waits or was pruned, `until` the rung up to which it was launched, and `branch` the rung of its
    launched branch.
    """

    state: State
    recorded: RunState
    step: int
    activity: Activity | None = None
    lives: bool = False
    outcome: str | None = None
    kind: str | None = None
    at: RungPlace | None = None
    until: RungPlace | None = None
    branch: RungPlace | None = None

    @property
    def shown(self) -> str:
        """The most specific word: the activity, else the state."""
        return self.activity or self.state


def run_status(trial: TrialRecord, index: int, run: RunRecord) -> RunStatus:
    """Returns the status of the run of a seed index, by its events, its last launch and the decisions on its trial."""
    launch = trial.launches.get(index)
    state = _state(trial, launch, run)
    lives = launch is not None and launch.outcome is None and _goes_on(launch)
    waits = run.state == "paused" and (trial.open or trial.pruned)
    return RunStatus(
        state,
        run.state,
        run.step,
        _activity(trial, launch, run, state),
        lives,
        launch.outcome if launch is not None and launch.outcome in _ENDED_BADLY else None,
        run.kind,
        _place(trial, run.step) if waits else None,
        _rung(trial, launch.until) if launch is not None else None,
        _rung(trial, launch.branch) if launch is not None else None,
    )


def _state(trial: TrialRecord, launch: LaunchRecord | None, run: RunRecord) -> State:
    """Returns the run's own state, or the coordinator's observation if the run could not record how it ended."""
    if trial.rejected is not None:
        return "rejected"
    if run.state == "paused" and trial.pruned:
        return "pruned"
    if run.state in ("new", "running") and launch is not None and launch.outcome not in (None, *ENDED):
        return "stopped" if launch.outcome in _STOPPED else "failed"
    return run.state


def _activity(trial: TrialRecord, launch: LaunchRecord | None, run: RunRecord, state: State) -> Activity | None:
    if state == "new":
        return "waiting" if launch is None else "starting"
    if state == "paused" and launch is not None and launch.launches and launch.outcome is None:
        return "starting" if launch.branch is None else "branching"
    steps = trial.asked.steps
    return "evaluating" if state == "running" and steps and run.step >= steps else None


def _place(trial: TrialRecord, step: int) -> RungPlace:
    steps = trial.rung_steps
    return RungPlace(step, steps.index(step) + 1 if step in steps else None, len(steps))


def _rung(trial: TrialRecord, step: int | None) -> RungPlace | None:
    return _place(trial, step) if step is not None and step in trial.rung_steps else None


def _goes_on(launch: LaunchRecord) -> bool:
    return launch.job is not None or _lives(launch.pid, launch.process_started, launch.host)


def _lives(pid: int | None, started: float | None, where: str | None) -> bool:
    """Whether a process lives; on another machine it counts as living until its end is recorded."""
    if pid is None or started is None:
        return False
    return alive(pid, started) if where in (None, host()) else True


def trial_status(trial: TrialRecord) -> TrialStatus:
    """Returns the status of a trial: `open` until it is told, `rejected` if it is never trained."""
    if trial.rejected is not None:
        return "rejected"
    if trial.told is None:
        return "open"
    return "complete" if trial.complete else "pruned" if trial.pruned else "failed"


def study_status(study: StudyRecord) -> StudyStatus:
    """Returns `completed` if nothing is left to do, `running` while a coordinator lives, `paused` otherwise."""
    if study.completed:
        return "completed"
    session = study.session
    running = session is not None and not study.paused and _lives(session.pid, session.process_started, session.host)
    return "running" if running else "paused"
