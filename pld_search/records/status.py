"""How a run, a trial and a study stand: decided here once, and read by report, `status` and the mirror in MLflow.

The readers keep their own words: a report says `failed` where MLflow says `killed`. What is decided is the same value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pld_search.host.processes import alive, host
from pld_search.records.run_record import RunRecord, RunState
from pld_search.records.study_record import StudyRecord
from pld_search.records.trial_record import ENDED, LaunchRecord, TrialRecord

State = Literal["new", "running", "finished", "diverged", "stopped", "paused", "pruned", "failed", "rejected"]
"""How a run stands, as reports say it: `pruned` was stopped early, `rejected` is never trained."""
Activity = Literal["waiting", "starting", "evaluating", "branching"]
"""What a run that has not ended does beside training: it waits for a slot, its process starts, it is evaluated after
the last step, or its branch is trained.
"""
TrialStatus = Literal["open", "complete", "pruned", "failed", "rejected"]
StudyStatus = Literal["completed", "running", "paused"]
_ENDED_BADLY = ("crashed", "out_of_memory", "killed", "stalled", "timed_out", "disk_full", "lost_node")
_STOPPED = ("stopped", "disk_full", "lost_node")
"""Outcomes of a process that ended without a result and through no fault of its run."""


@dataclass(frozen=True, slots=True)
class RungPlace:
    """A step of a run; `rung` (1, 2, ...) of `count`, None for a step that is no rung."""

    step: int
    rung: int | None
    count: int


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How the run of one seed stands.

    `recorded` is what its own events say, `state` the same corrected by what the coordinator saw and decided, and
    `activity` what it does beside training. `lives`: its process or job goes on, as far as this machine knows.
    `outcome` says how the last process ended badly. `step` is what was reached, `kind` the kind of a divergence or a
    failure. `at` is the rung at which a paused run waits or was pruned, `until` the rung that a living run trains to,
    and `branch` the rung whose branch it trains.
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
        """The finest word: the activity, else the state."""
        return self.activity or self.state


def run_status(trial: TrialRecord, index: int, run: RunRecord) -> RunStatus:
    """How the run of a seed index stands, by its events, its last launch and what was decided about its trial."""
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
    """The run's own state; where it could not say how it ended, what the coordinator saw."""
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
    """On another machine a process is taken to live until its end was recorded."""
    if pid is None or started is None:
        return False
    return alive(pid, started) if where in (None, host()) else True


def trial_status(trial: TrialRecord) -> TrialStatus:
    """How a trial stands: `open` until it is told, `rejected` where it is never trained."""
    if trial.rejected is not None:
        return "rejected"
    if trial.told is None:
        return "open"
    return "complete" if trial.complete else "pruned" if trial.pruned else "failed"


def study_status(study: StudyRecord) -> StudyStatus:
    """`completed` when nothing is left to do, `running` while a coordinator lives, `paused` otherwise."""
    if study.completed:
        return "completed"
    session = study.session
    running = session is not None and not study.paused and _lives(session.pid, session.process_started, session.host)
    return "running" if running else "paused"
