"""The records of a study: one frozen type a kind, as the coordinator appends them to `study.jsonl`.

Every record has `seq` and `time` (Unix seconds), which the writer fills in. The writer and the fold of these records
are in study_record.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pld_search.records import jsonl
from pld_search.records.event_lines import Event, check_format

Tree = Mapping[str, Any]
TrialKind = Literal["system", "tuning", "sampled"]
RunKey = tuple[int, int]
"""(trial, seed index)."""


@dataclass(frozen=True, slots=True)
class StudyEvent(Event):
    """The envelope of every record of a study."""

    ENVELOPE: ClassVar[tuple[str, ...]] = ("seq", "time")

    seq: int = field(default=0, kw_only=True)
    time: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True, slots=True)
class StudyCreated(StudyEvent):
    """`definition` is the study as resolved, canonical; `identity` holds the digests that a continuation must match;
    `starts` is how many space-filling configurations a search begins with (None: as version 0.1 began).
    """

    NAME: ClassVar[str] = "created"

    id: str
    name: str
    device: str = "cpu"
    definition: Tree = field(default_factory=dict)
    identity: Tree = field(default_factory=dict)
    format: int | None = None
    starts: int | None = None


@dataclass(frozen=True, slots=True)
class StudyOpened(StudyEvent):
    """A coordinator took the study up; `definition` holds what has changed since (more trials, more seeds)."""

    NAME: ClassVar[str] = "opened"
    NULLS: ClassVar[frozenset[str]] = frozenset({"process_started"})

    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    definition: Tree | None = None


@dataclass(frozen=True, slots=True)
class StudyPrepared(StudyEvent):
    """What the study's data is: the corpus with its statistics, the tasks, the checkpoint that runs continue, and
    where it all lies (`folders`: content digest -> folder).
    """

    NAME: ClassVar[str] = "prepared"
    NULLS: ClassVar[frozenset[str]] = frozenset({"checkpoint"})

    corpus: Tree = field(default_factory=dict)
    tasks: Sequence[Tree] = ()
    checkpoint: str | None = None
    folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def majority(self) -> dict[str, float]:
        """Every score (`suite/task/metric`) of a guess of the commonest label alone, and the average of a suite; empty
        where no version recorded it.
        """
        found: dict[str, float] = {}
        means: dict[str, list[float]] = {}
        for task in self.tasks:
            scores = task.get("majority") or {}
            found |= {f"{task['suite']}/{task['name']}/{metric}": float(value) for metric, value in scores.items()}
            if scores:
                means.setdefault(task["suite"], []).append(sum(scores.values()) / len(scores))
        return found | {f"{suite}/average": sum(each) / len(each) for suite, each in means.items()}

    @property
    def statistics(self) -> Tree:
        """Statistics of the corpus."""
        nested = self.corpus.get("statistics")
        return nested if isinstance(nested, Mapping) else self.corpus

    def same_content(self, other: StudyPrepared) -> bool:
        """Whether both say the same, whenever they were written."""
        return self.payload() == other.payload()

    @property
    def digests(self) -> dict[str, str | None]:
        """What must stay as it was when the study was begun, by the key of the study file that asks for it."""
        tasks = ", ".join(f"{task['suite']}/{task['name']} {task['digest']}" for task in self.tasks)
        data = {f"data.{key}": self.corpus[key] for key in ("corpus", "tokenizer")}
        return {**data, "evaluation.tasks": tasks, "model.from": self.checkpoint}


@dataclass(frozen=True, slots=True)
class ProfileRecorded(StudyEvent):
    """The profile (costs/profile.py) by which seconds and memory of an architecture are counted from here on."""

    NAME: ClassVar[str] = "profiled"

    architecture: str
    profile: Tree


@dataclass(frozen=True, slots=True)
class TrialAsked(StudyEvent):
    """A new configuration.

    `number` is its number in Optuna's study `sampler_study`; both are None for a configuration that no sampler gave.
    `schedule` is the schedule's name, `seeds` its seed indices, `experiment` the canonical tree with the seed of index
    0 (None for a configuration that could not be built). `problem` and `constraints` say why it is rejected. `rungs`
    are the steps at which it is judged; none where it runs to the end undisturbed.
    """

    NAME: ClassVar[str] = "asked"
    NULLS: ClassVar[frozenset[str]] = frozenset(
        {"system", "sampler_study", "number", "digest", "steps", "schedule", "experiment", "problem"}
    )

    trial: int
    kind: TrialKind
    system: str | None
    sampler_study: str | None = None
    number: int | None = None
    params: Tree = field(default_factory=dict)
    distributions: Tree = field(default_factory=dict)
    seeds: Sequence[int] = ()
    digest: str | None = None
    steps: int | None = None
    schedule: str | None = None
    forecast: Mapping[str, float] = field(default_factory=dict)
    experiment: Tree | None = None
    problem: str | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    rungs: Sequence[int] = ()

    def payload(self) -> dict[str, Any]:
        """As every event, but a configuration that could not be built has always had its rungs before its problem."""
        values = Event.payload(self)
        if self.experiment is None:
            values |= {name: values.pop(name) for name in ("rungs", "problem", "constraints")}
        return values


@dataclass(frozen=True, slots=True)
class TrialReseeded(StudyEvent):
    """The study now asks for more seeds of this configuration."""

    NAME: ClassVar[str] = "reseeded"

    trial: int
    seeds: Sequence[int]


@dataclass(frozen=True, slots=True)
class TrialRejected(StudyEvent):
    """It could not be built, or violates a constraint on its forecast; it is never trained."""

    NAME: ClassVar[str] = "rejected"

    trial: int
    reason: str | None = None
    constraint: Any = None


@dataclass(frozen=True, slots=True)
class _Launch(StudyEvent):
    """A launch (1, 2, ...) of one run: `name` is its own alone, `until` the step to pause at, `branch` the step at
    which the launched branch left the run, both None for a run to its end.
    """

    NULLS: ClassVar[frozenset[str]] = frozenset({"slot", "until", "branch", "name"})

    trial: int
    seed_index: int
    launch: int
    launcher: str = "local"
    name: str | None = None
    slot: int | None = None
    command: Sequence[str] | None = None
    until: int | None = None
    branch: int | None = None
    attempt: int = 0
    log_size: int = 0
    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class RunLaunching(_Launch):
    """Written before a job is handed in that outlives the coordinator: a coordinator that dies between this record and
    `launched` has left a job that is found by its name.
    """

    NAME: ClassVar[str] = "launching"


@dataclass(frozen=True, slots=True)
class RunLaunched(_Launch):
    """Where the run is found again: a process of `host` by `pid` and `process_started`, or a cluster's `job`."""

    NAME: ClassVar[str] = "launched"

    @classmethod
    def found(cls, announced: RunLaunching, trace: Mapping[str, Any]) -> RunLaunched:
        """The launch that was announced, with what it is found by: pid, process_started and host, or job."""
        return cls(**announced.payload(), **trace)


@dataclass(frozen=True, slots=True)
class RunExited(StudyEvent):
    """`outcome`: finished | diverged | paused | branched | stopped | crashed | out_of_memory | killed | stalled |
    timed_out | disk_full | lost_node.

    `lines` are the end of run.log where the run failed; `seconds` is the time since it was launched.
    """

    NAME: ClassVar[str] = "exited"
    NULLS: ClassVar[frozenset[str]] = frozenset({"code", "reason"})

    trial: int
    seed_index: int
    launch: int
    code: int | None = None
    outcome: str = "crashed"
    reason: str | None = None
    lines: Sequence[str] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunReused(StudyEvent):
    """A run of the same digest and seed had ended (`source`); its result counts here, and nothing is trained."""

    NAME: ClassVar[str] = "reused"

    trial: int
    seed_index: int
    source: RunKey

    def payload(self) -> dict[str, Any]:
        """The source is written as `from` {trial, seed_index}."""
        trial, index = self.source
        found = {"trial": trial, "seed_index": index}
        return {"trial": self.trial, "seed_index": self.seed_index, "from": found}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """See Event.of."""
        found = record["from"]
        source = found["trial"], found["seed_index"]
        return cls(record["trial"], record["seed_index"], source, seq=record["seq"], time=record["time"])


@dataclass(frozen=True, slots=True)
class RungReached(StudyEvent):
    """A trial is judged at a rung (0, 1, ...), at `steps` of training and at `step` as Optuna counts rungs.

    `values`: one an objective, means over seeds.
    """

    NAME: ClassVar[str] = "rung"

    trial: int
    rung: int
    steps: int
    step: int
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class TrialPromoted(StudyEvent):
    """It goes on from this rung to the next one, or to the end; a trial that is not promoted is told PRUNED at last."""

    NAME: ClassVar[str] = "promoted"

    trial: int
    rung: int


@dataclass(frozen=True, slots=True)
class TrialPredicted(StudyEvent):
    """What a model expected of the end of a trial when it was judged at a rung: `mean` and `sd` of the value its runs
    will measure, luck and noise included; `data_digest` is that of everything the model was fitted to.
    """

    NAME: ClassVar[str] = "predicted"

    trial: int
    rung: int
    mean: float
    sd: float
    data_digest: str


@dataclass(frozen=True, slots=True)
class SearchDecided(StudyEvent):
    """What goes on next: a trial that waits at a rung, or (None) a new configuration.

    `by`: model | promotion (`reason` says why no model decided). `mean` and `sd` are of the end of its configuration
    without noise, `best` is the least mean among ended ones; `gain` is the expected improvement on it, `worth` what a
    whole run's FLOPs are expected to gain with it; `others` {trial, worth} are the next best.
    """

    NAME: ClassVar[str] = "decided"
    NULLS: ClassVar[frozenset[str]] = frozenset({"trial"})

    trial: int | None
    by: str
    reason: str | None = None
    mean: float | None = None
    sd: float | None = None
    worth: float | None = None
    gain: float | None = None
    best: float | None = None
    others: Sequence[Mapping[str, Any]] = ()
    data_digest: str | None = None


@dataclass(frozen=True, slots=True)
class TrialConfirming(StudyEvent):
    """Fresh runs, from seed index 1000 on, that the told values do not count; the test split is for them alone."""

    NAME: ClassVar[str] = "confirming"

    trial: int
    seeds: Sequence[int]


@dataclass(frozen=True, slots=True)
class ContrastFixed(StudyEvent):
    """What the confirmation tests, fixed before its first fresh seed runs: a trial against the reference's.

    `metrics` are judged in their order. `reference` is None where the study has none, or where it won itself.
    """

    NAME: ClassVar[str] = "contrast"
    NULLS: ClassVar[frozenset[str]] = frozenset({"reference"})

    winner: int
    reference: int | None = None
    metrics: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TrialTold(StudyEvent):
    """The end of a trial; written once more after `reseeded`.

    `state`: COMPLETE | PRUNED | FAIL; `sd` is over seeds; a constraint is violated where its value is above 0.
    """

    NAME: ClassVar[str] = "told"
    NULLS: ClassVar[frozenset[str]] = frozenset({"values", "reason", "sd"})

    trial: int
    state: str
    values: Sequence[float] | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    sd: Sequence[float] | None = None

    @property
    def complete(self) -> bool:
        """Whether the trial reached its end and has values."""
        return self.state == "COMPLETE"

    @property
    def pruned(self) -> bool:
        """Whether the trial was stopped early, or rejected."""
        return self.state == "PRUNED"


@dataclass(frozen=True, slots=True)
class TrialRetried(StudyEvent):
    """A trial told FAIL gets a new chance under Optuna's new `number`, its runs from their checkpoints.

    With `seeds`, only the confirming runs of these indices get one, and the trial stays told.
    """

    NAME: ClassVar[str] = "retried"

    trial: int
    number: int | None = None
    seeds: Sequence[int] | None = None

    def payload(self) -> dict[str, Any]:
        """Either the number or the seeds."""
        chance = {"number": self.number} if self.seeds is None else {"seeds": self.seeds}
        return {"trial": self.trial, **chance}


@dataclass(frozen=True, slots=True)
class SystemChosen(StudyEvent):
    """This trial is the system's row; for a tuned system the best of `spent` tuning trials."""

    NAME: ClassVar[str] = "chosen"

    system: str
    trial: int
    spent: int = 0


@dataclass(frozen=True, slots=True)
class SystemTuned(StudyEvent):
    """The runs of a system's grid have ended, and its row runs at `rate`, the vertex of the quadratic in ln(rate)
    through all values of its `trials`.

    `value` is the fitted value of the first objective there; `edge` (low | high) says at which end of the rates tried
    the vertex lies: the optimum may lie beyond. `rate` is None where no run of the grid has a value.
    """

    NAME: ClassVar[str] = "tuned"
    NULLS: ClassVar[frozenset[str]] = frozenset({"rate", "value", "edge"})

    system: str
    rate: float | None
    value: float | None = None
    edge: Literal["low", "high"] | None = None
    trials: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class SearchRecommended(StudyEvent):
    """The search is over: `ranking` are its feasible trials, the recommended one first.

    `by`: model | least value (`reason` says why no model was fitted). `predicted` {trial, mean, sd} are the model's
    values of the first objective without noise; `data_digest` is that of everything the model was fitted to.
    """

    NAME: ClassVar[str] = "recommended"

    trial: int
    ranking: Sequence[int]
    by: str
    data_digest: str
    predicted: Sequence[Mapping[str, float]] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LooksDeclared(StudyEvent):
    """From here on verdicts are of at most `most` looks, each with its part of the error; `post_hoc` where results had
    been seen before.
    """

    NAME: ClassVar[str] = "looks"

    most: int
    post_hoc: bool = False


@dataclass(frozen=True, slots=True)
class StudyLooked(StudyEvent):
    """A look (1, 2, ...) at all rows: their `verdicts` by label, of which a decided one stays, and the `seeds` that
    trials (numbers as texts) shall have at the next look; none where the last look was this one.
    """

    NAME: ClassVar[str] = "looked"

    look: int
    verdicts: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchAssessed(StudyEvent):
    """What more trials could still gain, by the model of the first objective.

    `expected`: by how much the best configuration there is lies beyond the recommended one; `gain`: the expected
    improvement of the next trial, of `tflop`. `confidence` is how likely that distance is at most `regret` (None: the
    study states none); `enough`: it is as likely as the study wants, and nothing more is asked for.
    """

    NAME: ClassVar[str] = "assessed"

    expected: float
    gain: float
    data_digest: str
    tflop: float | None = None
    regret: float | None = None
    confidence: float | None = None
    enough: bool = False


@dataclass(frozen=True, slots=True)
class SearchExplained(StudyEvent):
    """What the search has learned of its parameters, by the model of the first objective that recommends.

    parameters: {name, importance, low, high, alone, dependence}, the most important first. `importance` is the share of
    the objective's variance over the space that goes when the parameter is known last (with all it is part of), with a
    90 % interval; `alone` the share that goes when it is known first. `dependence`: {value, mean, sd}, the mean over
    the other parameters where it exists. interactions: {names, share}: of two parameters together, the largest first.
    `data_digest` is that of the recommendation; `points` how many configurations have a value.
    """

    NAME: ClassVar[str] = "explained"

    parameters: Sequence[Mapping[str, Any]]
    interactions: Sequence[Mapping[str, Any]]
    data_digest: str
    points: int


@dataclass(frozen=True, slots=True)
class StorageChanged(StudyEvent):
    """Optuna's storage could not be reached, or can be again; what it was not told waits."""

    NAME: ClassVar[str] = "storage"
    NULLS: ClassVar[frozenset[str]] = frozenset({"reason"})

    away: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StudyPaused(StudyEvent):
    """The coordinator stopped before the study was done."""

    NAME: ClassVar[str] = "paused"

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StudyCompleted(StudyEvent):
    """Nothing is left to do."""

    NAME: ClassVar[str] = "completed"


@dataclass(frozen=True, slots=True)
class UnknownStudyEvent(StudyEvent):
    """A record of a later version: it is left out of the fold."""


LaunchEvent = RunLaunching | RunLaunched
TrialEvent = (
    TrialReseeded
    | TrialRejected
    | LaunchEvent
    | RunExited
    | RunReused
    | RungReached
    | TrialPromoted
    | TrialPredicted
    | TrialConfirming
    | TrialTold
    | TrialRetried
)
"""Records of a trial that was asked before."""

_KINDS: dict[str, type[StudyEvent]] = {
    kind.NAME: kind
    for kind in (
        StudyCreated,
        StudyOpened,
        StudyPrepared,
        ProfileRecorded,
        TrialAsked,
        TrialReseeded,
        TrialRejected,
        RunLaunching,
        RunLaunched,
        RunExited,
        RunReused,
        RungReached,
        TrialPromoted,
        TrialPredicted,
        SearchDecided,
        TrialConfirming,
        ContrastFixed,
        TrialTold,
        TrialRetried,
        SystemChosen,
        SystemTuned,
        SearchRecommended,
        LooksDeclared,
        StudyLooked,
        SearchAssessed,
        SearchExplained,
        StorageChanged,
        StudyPaused,
        StudyCompleted,
    )
}


def study_event(record: Mapping[str, Any]) -> StudyEvent:
    """The record of one line. Raises StudyError for a later format."""
    event = _KINDS.get(record["event"], UnknownStudyEvent).of(record)
    if isinstance(event, StudyCreated):
        check_format(event.format)
    return event


def study_events(records: Iterable[Mapping[str, Any]]) -> list[StudyEvent]:
    """The records of lines that were read."""
    return [study_event(record) for record in records]


def read_study_events(path: Path) -> list[StudyEvent]:
    """Every record of a study's file; none of a file that is missing. Raises StudyError for a damaged one."""
    return study_events(jsonl.read(path))
