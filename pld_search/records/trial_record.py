"""One configuration as the study's records tell of it: asked, launched, reused, retried, told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pld_search.records.events import WrittenSchedule
from pld_search.records.study_events import (
    LaunchEvent,
    RunExited,
    RungReached,
    RunKey,
    RunReused,
    TrialAsked,
    TrialConfirming,
    TrialEvent,
    TrialKind,
    TrialPredicted,
    TrialPromoted,
    TrialRejected,
    TrialReseeded,
    TrialRetried,
    TrialTold,
)
from pld_search.specs.experiment import Experiment

CONFIRMATION = 1000
"""Seed indices of runs that confirm start here."""
TUNING = 2000
"""The seed index of the runs of a grid of rates: no row has it, so that what they chose is tested by other runs."""
ENDED = ("finished", "diverged")
"""Outcomes of a run that is over: it has a result."""
PART_DONE = ("paused", "branched")
"""Outcomes of a part of a run: it paused at its rung, or the branch that left it there has ended."""
FAILURES = ("crashed", "out_of_memory", "killed", "stalled")
"""Outcomes that another launch may mend; a run that timed out, or found no room on the disk, is not launched again
unasked, and one that lost its node is, but that is not held against it.
"""


def confirms(index: int) -> bool:
    """Whether the run of a seed index confirms."""
    return CONFIRMATION <= index < TUNING


@dataclass(slots=True)
class LaunchRecord:
    """The last launch of one run and how it ended, as far as the coordinator knows (`outcome` None: not seen to end).

    `launcher` says who started it, and `name` what it was told to call it; `job` is what a cluster calls it, None for a
    process of `host` and while nobody knows whether the cluster took it; `since` when, in Unix seconds; `attempt` and
    `log_size` (bytes) are what the run's events and log had come to before it. `failures` and `seconds` are over all
    launches since the trial was last given a chance. `until` and `branch` say which part
    of the run was launched: up to a rung, or the branch that left it there; None: to its end.
    """

    launches: int = 0
    failures: int = 0
    seconds: float = 0.0
    until: int | None = None
    branch: int | None = None
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    launcher: str = "local"
    name: str | None = None
    job: str | None = None
    since: float | None = None
    attempt: int = 0
    log_size: int = 0
    slot: int | None = None
    code: int | None = None
    outcome: str | None = None
    reason: str | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a sampler's study knows it; `told` is None while it is open, `intermediate` are values by rung
    (one objective only).
    """

    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, Any]
    told: TrialTold | None
    intermediate: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class TrialRecord:
    """One configuration: asked, perhaps rejected, run once a seed (or the result of an equal run reused), told.

    `earlier` holds the questions that ended in a failure before the trial got a new chance. A trial with rungs pauses
    at each: `paused` is the step that a seed's run has paused at, `branched` the steps whose branch has ended, `rungs`
    what it was judged by, `predicted` what a model then expected of its end, and `promoted` how many rungs it went on
    from. `confirming` are seed indices of fresh runs,
    which its told values do not hold.
    """

    number: int
    kind: TrialKind
    system: str | None
    asked: TrialAsked
    rejected: TrialRejected | None = None
    told: TrialTold | None = None
    launches: dict[int, LaunchRecord] = field(default_factory=dict)
    reused: dict[int, RunKey] = field(default_factory=dict)
    earlier: list[Question] = field(default_factory=list)
    paused: dict[int, int] = field(default_factory=dict)
    branched: dict[int, list[int]] = field(default_factory=dict)
    rungs: list[RungReached] = field(default_factory=list)
    promoted: int = 0
    predicted: list[TrialPredicted] = field(default_factory=list)
    confirming: list[int] = field(default_factory=list)
    _experiment: Experiment | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """The trial in a line."""
        return f"<trial {self.number}: {self.system or self.kind}, {len(self.indices)} seeds>"

    @classmethod
    def of(cls, asked: TrialAsked) -> TrialRecord:
        """A trial of which nothing but the question is known."""
        return cls(asked.trial, asked.kind, asked.system, asked)

    @property
    def seeds(self) -> list[int]:
        """The seed of each of its runs, by index; a confirmation adds some."""
        return list(self.asked.seeds)

    @property
    def indices(self) -> list[int]:
        """The seed indices of all its runs: those of the search, and those that confirm."""
        return [*self.seeds, *self.confirming]

    @property
    def schedule(self) -> WrittenSchedule:
        """Name and kinds of its schedule, without checking the experiment; empty where none was recorded."""
        return WrittenSchedule.of(self._tree)

    @property
    def experiment(self) -> Experiment | None:
        """What it trains, with the seed of index 0, checked at the first call; None where it could not be built.

        Raises pydantic's ValidationError for an experiment that this version cannot read.
        """
        if self._experiment is None and self.asked.experiment:
            self._experiment = Experiment.model_validate(self.asked.experiment)
        return self._experiment

    @property
    def vocabulary(self) -> int:
        """The tokens of its model's vocabulary. Raises KeyError for a configuration that could not be built."""
        return int(self._tree["model"]["vocabulary"])

    @property
    def layers(self) -> int | None:
        """The layers of its model; None for a configuration that could not be built."""
        return int(self._tree["model"]["layers"]) if self._tree else None

    @property
    def pretraining(self) -> Any:
        """What it learns, as its experiment has it; None for masked language modelling."""
        return self._tree.get("pretraining")

    @property
    def _tree(self) -> Mapping[str, Any]:
        return self.asked.experiment or {}

    def identity(self, index: int) -> tuple[str, int]:
        """(digest, seed) of the run of a seed index: what makes two runs one. Raises KeyError where none was built."""
        return str(self.asked.digest), int(self._tree["seed"]) + index

    @property
    def complete(self) -> bool:
        """Whether it reached its end and was told with values."""
        return self.told is not None and self.told.complete

    @property
    def pruned(self) -> bool:
        """Whether it was told PRUNED: it was stopped early, or rejected."""
        return self.told is not None and self.told.pruned

    @property
    def violated(self) -> bool:
        """Whether it was told with a constraint above 0, the sign that Optuna wants; False while it is open."""
        return self.told is not None and violated(self.told.constraints)

    @property
    def feasible(self) -> bool:
        """Whether it reached its end with a value and violated nothing."""
        return self.complete and not self.violated

    @property
    def why(self) -> str | None:
        """Why it was rejected, or what was said when it was told; None where nothing was said."""
        found = self.rejected or self.told
        return found.reason if found is not None else None

    @property
    def open(self) -> bool:
        """Whether it still waits for runs."""
        return self.told is None and self.rejected is None

    @property
    def failed(self) -> bool:
        """Whether it was given up: one of its runs failed for good."""
        return self.told is not None and self.told.state == "FAIL"

    def done(self, index: int) -> bool:
        """Whether the run of a seed has its result, its own or an equal run's."""
        launch = self.launches.get(index)
        return index in self.reused or (launch is not None and launch.outcome in ENDED)

    @property
    def rung_steps(self) -> list[int]:
        """The steps of its rungs; none for one that runs to the end undisturbed."""
        return list(self.asked.rungs or ())

    @property
    def pause_at(self) -> int | None:
        """The step of the next rung; None where only the end is left."""
        steps = self.rung_steps
        return steps[self.promoted] if self.promoted < len(steps) else None

    @property
    def waits(self) -> bool:
        """Whether it was judged at a rung and nothing is decided yet."""
        return self.open and len(self.rungs) > self.promoted

    def source(self, index: int) -> RunKey:
        """The run whose events count for a seed: its own, or the equal one it reuses."""
        return self.reused.get(index, (self.number, index))

    def questions(self) -> list[Question]:
        """What a sampler's study knows of it, oldest first; nothing for a configuration that no sampler gave."""
        return [*self.earlier, self._question()] if self.asked.sampler_study is not None else []

    def _question(self) -> Question:
        values = {rung.step: rung.values[0] for rung in self.rungs if len(rung.values) == 1}
        asked = self.asked
        return Question(asked.number, asked.params, asked.distributions, self.told, values)  # type: ignore[arg-type]

    def retry(self, number: int | None) -> None:
        """Forget the failures; the question goes on under a sampler's new number, where it has one."""
        self.earlier = [*self.earlier, self._question()]
        self.asked, self.told = replace(self.asked, number=number), None
        self.launch_again(self.launches)

    def launch_again(self, indices: Iterable[int]) -> None:
        """Forget the failures of these seeds' runs."""
        for launch in (self.launches[index] for index in indices):
            launch.failures, launch.seconds = 0, 0.0
            if launch.outcome not in ENDED:
                launch.code, launch.outcome = None, "stopped"


def violated(constraints: Mapping[str, float] | None) -> bool:
    """Whether any of the constraints that a trial was told with is violated: above 0, the sign that Optuna wants."""
    return constraints is not None and any(value > 0 for value in constraints.values())


def apply_to_trial(trial: TrialRecord, event: TrialEvent) -> None:
    """Take one more record of a trial into its fold."""
    match event:
        case TrialRejected():
            trial.rejected = event
        case TrialTold():
            trial.told = event
        case TrialReseeded():
            trial.asked, trial.told = replace(trial.asked, seeds=event.seeds), None
        case TrialRetried(seeds=None):
            trial.retry(event.number)
        case TrialRetried():
            trial.launch_again(event.seeds or ())
        case RunReused():
            trial.reused[event.seed_index] = event.source
        case RungReached():
            trial.rungs.append(event)
        case TrialPredicted():
            trial.predicted.append(event)
        case TrialConfirming():
            trial.confirming = list(event.seeds)
        case TrialPromoted():
            trial.promoted = event.rung + 1
        case RunExited():
            _exit(trial, event)
        case _:
            _launch(trial.launches.setdefault(event.seed_index, LaunchRecord()), event)


def _exit(trial: TrialRecord, event: RunExited) -> None:
    launch = trial.launches.setdefault(event.seed_index, LaunchRecord())
    launch.code, launch.outcome, launch.reason = event.code, event.outcome, event.reason
    launch.lines = tuple(event.lines or ())
    launch.seconds += event.seconds or 0.0
    launch.failures += event.outcome in FAILURES
    if launch.outcome == "paused" and launch.until is not None:
        trial.paused[event.seed_index] = launch.until
    if launch.outcome == "branched" and launch.branch is not None:
        trial.branched.setdefault(event.seed_index, []).append(launch.branch)


def _launch(launch: LaunchRecord, event: LaunchEvent) -> None:
    launch.launches, launch.slot = event.launch, event.slot
    launch.until, launch.branch = event.until, event.branch
    launch.launcher, launch.name = event.launcher, event.name
    launch.attempt, launch.log_size = event.attempt, event.log_size
    launch.pid, launch.process_started = event.pid, event.process_started
    launch.host, launch.job = event.host, event.job
    launch.since = launch.process_started or event.time
    launch.code = launch.outcome = launch.reason = None
    launch.lines = ()
