"""The records of a study, one frozen type for each kind, which the coordinator appends to `study.jsonl`.

Every record has `seq` and `time` (Unix seconds), which the writer fills in. study_record.py has the writer and the fold
of these records.
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
    """A study was created. `definition` is the resolved study, canonical; `identity` holds the digests that a
    continuation must match; `starts` is the number of space-filling configurations at the start of a search (None: as
    in version 0.1).
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
    """A coordinator opened the study; `definition` holds the study if it has changed (more trials, more seeds)."""

    NAME: ClassVar[str] = "opened"
    NULLS: ClassVar[frozenset[str]] = frozenset({"process_started"})

    pid: int | None = None
    process_started: float | None = None
    host: str | None = None
    definition: Tree | None = None


@dataclass(frozen=True, slots=True)
class StudyPrepared(StudyEvent):
    """The data of the study: the corpus with its statistics, the tasks, the checkpoint that runs continue, and their
    folders (`folders`: content digest -> folder).
    """

    NAME: ClassVar[str] = "prepared"
    NULLS: ClassVar[frozenset[str]] = frozenset({"checkpoint"})

    corpus: Tree = field(default_factory=dict)
    tasks: Sequence[Tree] = ()
    checkpoint: str | None = None
    folders: Mapping[str, str] = field(default_factory=dict)

    @property
    def majority(self) -> dict[str, float]:
        """Every score (`suite/task/metric`) of a guess that is always the commonest label, and the averages of suites;
        empty for records of versions without it.
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
        """Whether both have the same content, at any time."""
        return self.payload() == other.payload()

    @property
    def digests(self) -> dict[str, str | None]:
        """The digests that must not change after the start of a study, by the key of the study file."""
        tasks = ", ".join(f"{task['suite']}/{task['name']} {task['digest']}" for task in self.tasks)
        data = {f"data.{key}": self.corpus[key] for key in ("corpus", "tokenizer")}
        return {**data, "evaluation.tasks": tasks, "model.from": self.checkpoint}


@dataclass(frozen=True, slots=True)
class ProfileRecorded(StudyEvent):
    """A profile (costs/profile.py), from which seconds and memory of its architecture are computed from here on."""

    NAME: ClassVar[str] = "profiled"

    architecture: str
    profile: Tree


@dataclass(frozen=True, slots=True)
class TrialAsked(StudyEvent):
    """A new configuration.

    `number` is its number in Optuna's study `sampler_study`; both are None for a configuration without a sampler.
    `schedule` is the schedule's name, `seeds` its seed indices, `experiment` the canonical tree with the seed of index
    0 (None for a configuration that could not be built). `problem` and `constraints` give the reason for a rejection.
    `rungs` are the steps at which it is judged; empty if it runs to the end without pause.
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
        """As for every event, but in a configuration that could not be built `rungs` stands before `problem`."""
        values = Event.payload(self)
        if self.experiment is None:
            values |= {name: values.pop(name) for name in ("rungs", "problem", "constraints")}
        return values


@dataclass(frozen=True, slots=True)
class TrialReseeded(StudyEvent):
    """The study now has more seeds for this configuration."""

    NAME: ClassVar[str] = "reseeded"

    trial: int
    seeds: Sequence[int]


@dataclass(frozen=True, slots=True)
class TrialRejected(StudyEvent):
    """The configuration could not be built or violates a constraint on its forecast, so it is never trained."""

    NAME: ClassVar[str] = "rejected"

    trial: int
    reason: str | None = None
    constraint: Any = None


@dataclass(frozen=True, slots=True)
class _Launch(StudyEvent):
    """A launch (1, 2, ...) of one run. `name` is unique to it; `until` is the step at which it pauses; `branch` is the
    step at which the launched branch left the run. Both are None for a run to its end.
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
    """Written before a job that outlives the coordinator is submitted. If the coordinator dies between this record and
    `launched`, the job can be found by its name.
    """

    NAME: ClassVar[str] = "launching"


@dataclass(frozen=True, slots=True)
class RunLaunched(_Launch):
    """Identifies the launched run: a process of `host` by `pid` and `process_started`, or a cluster's `job`."""

    NAME: ClassVar[str] = "launched"

    @classmethod
    def found(cls, announced: RunLaunching, trace: Mapping[str, Any]) -> RunLaunched:
        """Returns the announced launch with its identification `trace`: pid, process_started and host, or job."""
        return cls(**announced.payload(), **trace)


@dataclass(frozen=True, slots=True)
class RunExited(StudyEvent):
    """A launch ended. `outcome`: finished | diverged | paused | branched | stopped | crashed | out_of_memory | killed |
    stalled | timed_out | disk_full | lost_node.

    `lines` are the end of run.log if the run failed; `seconds` is the time since the launch.
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
    """A run with the same digest and seed had ended (`source`); its result counts here, and nothing is trained."""

    NAME: ClassVar[str] = "reused"

    trial: int
    seed_index: int
    source: RunKey

    def payload(self) -> dict[str, Any]:
        """Returns the fields, with the source as `from` {trial, seed_index}."""
        trial, index = self.source
        found = {"trial": trial, "seed_index": index}
        return {"trial": self.trial, "seed_index": self.seed_index, "from": found}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Returns the event of a line (see Event.of)."""
        found = record["from"]
        source = found["trial"], found["seed_index"]
        return cls(record["trial"], record["seed_index"], source, seq=record["seq"], time=record["time"])


@dataclass(frozen=True, slots=True)
class RungReached(StudyEvent):
    """A trial is judged at a rung (0, 1, ...), at `steps` of training, which Optuna counts as its `step`.

    `values`: one for each objective, means over seeds.
    """

    NAME: ClassVar[str] = "rung"

    trial: int
    rung: int
    steps: int
    step: int
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class TrialPromoted(StudyEvent):
    """The trial continues from this rung to the next, or to the end. A trial without promotion is told PRUNED."""

    NAME: ClassVar[str] = "promoted"

    trial: int
    rung: int


@dataclass(frozen=True, slots=True)
class TrialPredicted(StudyEvent):
    """A model's prediction for the end of a trial, made when it was judged at a rung: `mean` and `sd` of the value that
    its runs will measure, with noise. `data_digest` is the digest of all data to which the model was fitted.
    """

    NAME: ClassVar[str] = "predicted"

    trial: int
    rung: int
    mean: float
    sd: float
    data_digest: str


@dataclass(frozen=True, slots=True)
class SearchDecided(StudyEvent):
    """The next thing to run: a trial that waits at a rung, or (None) a new configuration.

    `by`: model | promotion (`reason` says why no model decided). `mean` and `sd` predict the end of its configuration
    without noise; `best` is the least mean among ended trials; `gain` is the expected improvement over it; `worth` is
    the expected gain for the FLOPs of a whole run; `others` {trial, worth} are the next best.
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
    """Fresh runs for confirmation, from seed index 1000 on. The told values do not include them, and only they use the
    test split.
    """

    NAME: ClassVar[str] = "confirming"

    trial: int
    seeds: Sequence[int]


@dataclass(frozen=True, slots=True)
class ContrastFixed(StudyEvent):
    """The contrast of the confirmation, fixed before its first fresh seed runs: the winner against the reference.

    `metrics` are judged in this order. `reference` is None if the study has none, or if it won itself.
    """

    NAME: ClassVar[str] = "contrast"
    NULLS: ClassVar[frozenset[str]] = frozenset({"reference"})

    winner: int
    reference: int | None = None
    metrics: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TrialTold(StudyEvent):
    """The end of a trial; written again after `reseeded`.

    `state`: COMPLETE | PRUNED | FAIL. `sd` is over seeds. A constraint is violated if its value is above 0.
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
    """A trial told FAIL is retried under Optuna's new `number`; its runs continue from their checkpoints.

    With `seeds`, only the confirming runs of these indices are retried, and the trial stays told.
    """

    NAME: ClassVar[str] = "retried"

    trial: int
    number: int | None = None
    seeds: Sequence[int] | None = None

    def payload(self) -> dict[str, Any]:
        """Returns the fields, with either the number or the seeds."""
        chance = {"number": self.number} if self.seeds is None else {"seeds": self.seeds}
        return {"trial": self.trial, **chance}


@dataclass(frozen=True, slots=True)
class SystemChosen(StudyEvent):
    """This trial is the system's row; for a tuned system it is the best of `spent` tuning trials."""

    NAME: ClassVar[str] = "chosen"

    system: str
    trial: int
    spent: int = 0


@dataclass(frozen=True, slots=True)
class SystemTuned(StudyEvent):
    """The runs of a system's grid have ended. Its row runs at `rate`, the vertex of the quadratic in ln(rate) through
    all values of its `trials`.

    `value` is the fitted value of the first objective there. `edge` (low | high) names the end of the grid at which the
    vertex lies; the optimum may then lie beyond the grid. `rate` is None if no run of the grid has a value.
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
    """The search has ended: `ranking` lists its feasible trials, the recommended one first.

    `by`: model | least value (`reason` says why no model was fitted). `predicted` {trial, mean, sd} are the model's
    values of the first objective without noise. `data_digest` is the digest of all data to which the model was fitted.
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
    """From here on there are at most `most` looks, each with its share of the error; `post_hoc` means that results had
    been seen before.
    """

    NAME: ClassVar[str] = "looks"

    most: int
    post_hoc: bool = False


@dataclass(frozen=True, slots=True)
class StudyLooked(StudyEvent):
    """A look (1, 2, ...) at all rows: their `verdicts` by label, of which a decided one is final, and the `seeds` that
    trials (numbers as texts) will have at the next look; empty if this was the last look.
    """

    NAME: ClassVar[str] = "looked"

    look: int
    verdicts: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValuesBorrowed(StudyEvent):
    """What a search took over from other studies (`learn_from`) when it was created; they are not read again.

    studies: one {name, id, values} each; `values` are [parameters, value of the first objective], in the order in which
    they were told.
    """

    NAME: ClassVar[str] = "borrowed"

    studies: Sequence[Tree]


@dataclass(frozen=True, slots=True)
class SearchAssessed(StudyEvent):
    """The gain that more trials could still bring, by the model of the first objective.

    `expected`: the expected distance of the best possible configuration from the recommended one. `gain`: the expected
    improvement by the next trial, which costs `tflop`. `confidence`: the probability that the distance is at most
    `regret` (None: the study states none). `enough`: this probability reaches the study's, so the search asks no more.
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
    """The importance of the search's parameters, by the same model of the first objective that recommends.

    parameters: {name, importance, low, high, alone, dependence}, the most important first. `importance` is the share of
    the objective's variance over the space that vanishes when the parameter is known last (with all its interactions),
    with a 90 % interval; `alone` is the share that vanishes when it is known first. `dependence`: {value, mean, sd},
    the mean over the other parameters where the parameter exists. interactions: {names, share} of pairs of parameters,
    the largest first. `data_digest` is the recommendation's; `points` is the number of configurations with a value.
    """

    NAME: ClassVar[str] = "explained"

    parameters: Sequence[Mapping[str, Any]]
    interactions: Sequence[Mapping[str, Any]]
    data_digest: str
    points: int


@dataclass(frozen=True, slots=True)
class StorageChanged(StudyEvent):
    """Optuna's storage could not be reached, or can be reached again; values for it wait in the meantime."""

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
    """A record of a later version; the fold ignores it."""


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
        ValuesBorrowed,
        SearchAssessed,
        SearchExplained,
        StorageChanged,
        StudyPaused,
        StudyCompleted,
    )
}


def study_event(record: Mapping[str, Any]) -> StudyEvent:
    """Returns the record of one line. Raises StudyError for a later format."""
    event = _KINDS.get(record["event"], UnknownStudyEvent).of(record)
    if isinstance(event, StudyCreated):
        check_format(event.format)
    return event


def study_events(records: Iterable[Mapping[str, Any]]) -> list[StudyEvent]:
    """Returns the records of lines that were read."""
    return [study_event(record) for record in records]


def read_study_events(path: Path) -> list[StudyEvent]:
    """Reads every record of a study's file; a missing file has none. Raises StudyError for a damaged file."""
    return study_events(jsonl.read(path))
