"""The record of one configuration in a study: asked, launched, reused, retried, told."""

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
"""The first seed index of confirming runs."""
TUNING = 2000
"""The seed index of runs in a grid of rates. No row has it, so other runs test the rate that the grid chose."""
ENDED = ("finished", "diverged")
"""Outcomes of a run with a result."""
PART_DONE = ("paused", "branched")
"""Outcomes of a part of a run: it paused at its rung, or the branch that left it there has ended."""
FAILURES = ("crashed", "out_of_memory", "killed", "stalled")
"""Outcomes that another launch may fix. A run that timed out or found no space on the disk is not launched again
automatically. A run that lost its node is launched again, and this does not count as its failure.
"""


def confirms(index: int) -> bool:
    """Whether the run of a seed index is a confirming run."""
    return CONFIRMATION <= index < TUNING


@dataclass(slots=True)
class LaunchRecord:
    """The last launch of one run and its outcome, as far as the coordinator knows (`outcome` None: no end was seen).

    `launcher` started it, under the name `name`. `job` is the cluster's name for it; None for a process of `host`, and
    while it is unknown whether the cluster accepted it. `since` is its start in Unix seconds. `attempt` and `log_size`
    (bytes) are the state of the run's events and log before it. `failures` and `seconds` are over all launches since
    the trial's last retry. `until` and `branch` are the launched part of the run: up to a rung, or the branch that left
    it there; both None for a run to its end.
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
    """One configuration as a sampler's study holds it. `told` is None while it is open; `intermediate` holds values by
    rung (one objective only).
    """

    number: int
    params: Mapping[str, Any]
    distributions: Mapping[str, Any]
    told: TrialTold | None
    intermediate: dict[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class TrialRecord:
    """One configuration: asked, perhaps rejected, run once for each seed (or replaced by an equal run's result), told.

    `earlier` holds the sampler's questions that ended in a failure before a retry. A trial with rungs pauses at each:
    `paused` is the step at which a seed's run has paused, `branched` the steps whose branches have ended, `rungs` the
    values by which it was judged, `predicted` a model's predictions for its end, and `promoted` the number of its
    promotions. `confirming` are the seed indices of fresh runs, which its told values do not include.
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
        """Returns the trial in one line."""
        return f"<trial {self.number}: {self.system or self.kind}, {len(self.indices)} seeds>"

    @classmethod
    def of(cls, asked: TrialAsked) -> TrialRecord:
        """Returns a trial of which only the question is known."""
        return cls(asked.trial, asked.kind, asked.system, asked)

    @property
    def seeds(self) -> list[int]:
        """The seed index of each of its runs, without confirming runs."""
        return list(self.asked.seeds)

    @property
    def indices(self) -> list[int]:
        """The seed indices of all its runs, with confirming runs at the end."""
        return [*self.seeds, *self.confirming]

    @property
    def schedule(self) -> WrittenSchedule:
        """Name and kinds of its schedule, without validation of the experiment; empty if none was recorded."""
        return WrittenSchedule.of(self._tree)

    @property
    def experiment(self) -> Experiment | None:
        """Its experiment with the seed of index 0, validated at the first access; None if it could not be built.

        Raises pydantic's ValidationError for an experiment that this version cannot read.
        """
        if self._experiment is None and self.asked.experiment:
            self._experiment = Experiment.model_validate(self.asked.experiment)
        return self._experiment

    @property
    def vocabulary(self) -> int:
        """The size of its model's vocabulary. Raises KeyError for a configuration that could not be built."""
        return int(self._tree["model"]["vocabulary"])

    @property
    def layers(self) -> int | None:
        """The number of layers of its model; None for a configuration that could not be built."""
        return int(self._tree["model"]["layers"]) if self._tree else None

    @property
    def pretraining(self) -> Any:
        """Its objective as recorded; None for masked language modelling."""
        return self._tree.get("pretraining")

    @property
    def _tree(self) -> Mapping[str, Any]:
        return self.asked.experiment or {}

    def identity(self, index: int) -> tuple[str, int]:
        """Returns (digest, seed) of the run of a seed index, which identifies a run. Raises KeyError if none was
        built.
        """
        return str(self.asked.digest), int(self._tree["seed"]) + index

    @property
    def complete(self) -> bool:
        """Whether it reached its end and was told with values."""
        return self.told is not None and self.told.complete

    @property
    def pruned(self) -> bool:
        """Whether it was told PRUNED, because it was stopped early or rejected."""
        return self.told is not None and self.told.pruned

    @property
    def violated(self) -> bool:
        """Whether it was told with a violated constraint (above 0, Optuna's convention); False while it is open."""
        return self.told is not None and violated(self.told.constraints)

    @property
    def feasible(self) -> bool:
        """Whether it reached its end with a value and violated no constraint."""
        return self.complete and not self.violated

    @property
    def why(self) -> str | None:
        """The reason of its rejection or of its last told state; None if there is none."""
        found = self.rejected or self.told
        return found.reason if found is not None else None

    @property
    def open(self) -> bool:
        """Whether it still waits for runs."""
        return self.told is None and self.rejected is None

    @property
    def failed(self) -> bool:
        """Whether it was given up because one of its runs failed finally."""
        return self.told is not None and self.told.state == "FAIL"

    def done(self, index: int) -> bool:
        """Whether the run of a seed has its result, its own or an equal run's."""
        launch = self.launches.get(index)
        return index in self.reused or (launch is not None and launch.outcome in ENDED)

    @property
    def rung_steps(self) -> list[int]:
        """The steps of its rungs; empty if it runs to the end without pause."""
        return list(self.asked.rungs or ())

    @property
    def pause_at(self) -> int | None:
        """The step of the next rung; None if only the end is left."""
        steps = self.rung_steps
        return steps[self.promoted] if self.promoted < len(steps) else None

    @property
    def waits(self) -> bool:
        """Whether it was judged at a rung and waits for a decision."""
        return self.open and len(self.rungs) > self.promoted

    def source(self, index: int) -> RunKey:
        """Returns the run whose events count for a seed: its own, or the equal run that it reuses."""
        return self.reused.get(index, (self.number, index))

    def questions(self) -> list[Question]:
        """Returns the sampler's questions about it, oldest first; empty for a configuration without a sampler."""
        return [*self.earlier, self._question()] if self.asked.sampler_study is not None else []

    def _question(self) -> Question:
        values = {rung.step: rung.values[0] for rung in self.rungs if len(rung.values) == 1}
        asked = self.asked
        return Question(asked.number, asked.params, asked.distributions, self.told, values)  # type: ignore[arg-type]

    def retry(self, number: int | None) -> None:
        """Forgets the failures; the question continues under a sampler's new number, if there is a sampler."""
        self.earlier = [*self.earlier, self._question()]
        self.asked, self.told = replace(self.asked, number=number), None
        self.launch_again(self.launches)

    def launch_again(self, indices: Iterable[int]) -> None:
        """Forgets the failures of these seeds' runs."""
        for launch in (self.launches[index] for index in indices):
            launch.failures, launch.seconds = 0, 0.0
            if launch.outcome not in ENDED:
                launch.code, launch.outcome = None, "stopped"


def violated(constraints: Mapping[str, float] | None) -> bool:
    """Whether any told constraint is violated: above 0, by Optuna's convention."""
    return constraints is not None and any(value > 0 for value in constraints.values())


def apply_to_trial(trial: TrialRecord, event: TrialEvent) -> None:
    """Applies one more record of a trial to its fold."""
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
