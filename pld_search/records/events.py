"""The events of a run, one frozen type for each kind, which the training process appends to `events.jsonl`.

Every event has `attempt`, `seq`, `step` (completed steps, 0 .. T) and `time` (Unix seconds); the writer fills in all
but `step`. `metrics` are deterministic numbers of training; `timing` holds measured times. run_record.py has the writer
and the fold of these events.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.records import jsonl
from pld_search.records.event_lines import Event, check_format
from pld_search.records.layer_analysis import LayerAnalysis

Numbers = Mapping[str, float]
Tree = Mapping[str, Any]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class WrittenSchedule:
    """The schedule of a recorded experiment: its name, and the kind of each part (temporal, depth, draw)."""

    name: str | None
    kinds: Mapping[str, str]

    @classmethod
    def of(cls, experiment: Tree) -> WrittenSchedule:
        """Returns the schedule of a canonical tree; without name and kinds if the tree is empty."""
        tree = experiment.get("schedule") or {}
        parts = {part: tree.get(part) for part in ("temporal", "depth", "draw")}
        kinds = {part: str(each["kind"]) for part, each in parts.items() if isinstance(each, Mapping)}
        return cls(tree.get("name"), kinds)

    @property
    def label(self) -> str:
        """Its name, else its families; empty if nothing was recorded."""
        if self.name:
            return self.name
        return f"{self.kinds['temporal']} x {self.kinds['depth']}" if self.kinds else ""


@dataclass(frozen=True, slots=True)
class RunEvent(Event):
    """The envelope of every event of a run."""

    ENVELOPE: ClassVar[tuple[str, ...]] = ("attempt", "seq", "step", "time")

    step: int
    attempt: int = field(default=0, kw_only=True)
    seq: int = field(default=0, kw_only=True)
    time: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True, slots=True)
class RunStarted(RunEvent):
    """The first event of every attempt.

    `experiment` and `execution` are canonical trees. A branch also has `branch` {of: digest of the trunk's experiment,
    at, until}; its `step` is `at`, where it left the trunk. With `micro_batch: auto` there is `micro_batch` {size, by:
    forecast | trial | recorded | out_of_memory, needed_bytes, free_bytes}; `provenance` has the size for any run. A
    fine-tuning has `suite` and `task`, the digest of the task, and no experiment.
    """

    NAME: ClassVar[str] = "started"

    suite: str | None = None
    task: str | None = None
    experiment: Tree | None = None
    seed: int | None = None
    digest: str | None = None
    execution: Tree | None = None
    provenance: Tree | None = None
    corpus: Tree | None = None
    micro_batch: Tree | None = None
    branch: Tree | None = None
    format: int | None = None

    @property
    def execution_folders(self) -> Mapping[str, str]:
        """The folders of the attempt's data: content digest -> folder."""
        return (self.execution or {}).get("folders") or {}

    @property
    def steps(self) -> int | None:
        """T of the experiment; None for a fine-tuning."""
        return int(self.experiment["steps"]) if self.experiment else None


@dataclass(frozen=True, slots=True)
class RunResumed(RunEvent):
    """An attempt continues from `from_step`: events of earlier attempts with a later step leave the series.

    `repeated_tflop` counts the TFLOP that earlier attempts had executed beyond that step. `changed` {name: [before,
    now]} lists changes of the provenance since the attempt before.
    """

    NAME: ClassVar[str] = "resumed"

    from_step: int
    repeated_tflop: float | None = None
    changed: Tree | None = None


@dataclass(frozen=True, slots=True)
class RunRecovered(RunEvent):
    """The run had diverged, noticed at step `noticed`, and continues from `from_step`.

    From there it runs in `precision` with its learning rate times `lr_factor`; this is its `count`-th recovery. All
    earlier events with a later step leave the series. `repeated_tflop` and `repeated_seconds` are the cost.
    """

    NAME: ClassVar[str] = "recovered"

    policy: str | None = None
    from_step: int = 0
    kind: str | None = None
    reason: str | None = None
    first_bad_step: int | None = None
    noticed: int | None = None
    precision: Precision = "fp32"
    lr_factor: float = 1.0
    count: int = 0
    repeated_tflop: float | None = None
    repeated_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunProgress(RunEvent):
    """Numbers of training at a step of the calendar."""

    NAME: ClassVar[str] = "progress"

    metrics: Numbers | None = None
    timing: Numbers | None = None


@dataclass(frozen=True, slots=True)
class RunValidated(RunEvent):
    """`metrics` holds `valid/loss`."""

    NAME: ClassVar[str] = "valid"

    metrics: Numbers | None = None
    timing: Numbers | None = None


@dataclass(frozen=True, slots=True)
class HeldOutLosses(RunEvent):
    """The losses of a split (`validation`, `test`) at the end of a run, by blocks of consecutive documents.

    `documents` documents were read, in `blocks` blocks. `sums` are nats (base64 of little-endian float32) and `counts`
    are numbers of predictions (base64 of uint32), one number for each block.
    """

    NAME: ClassVar[str] = "losses"

    split: str = ""
    documents: int = 0
    blocks: int = 0
    sums: str = ""
    counts: str = ""

    @classmethod
    def of_arrays(cls, step: int, split: str, documents: int, sums: ArrayLike, counts: ArrayLike) -> Self:
        """Returns the event for arrays of shape (blocks,)."""
        numbers, predictions = np.asarray(sums, dtype="<f4"), np.asarray(counts, dtype="<u4")
        texts = (base64.b64encode(array.tobytes()).decode("ascii") for array in (numbers, predictions))
        return cls(step, split, documents, len(numbers), *texts)

    @property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sums in nats and counts, (blocks,) each. Raises ValueError if their lengths are not `blocks`."""
        sums = np.frombuffer(base64.b64decode(self.sums), dtype="<f4").astype(np.float64)
        counts = np.frombuffer(base64.b64decode(self.counts), dtype="<u4").astype(np.int64)
        if not len(sums) == len(counts) == self.blocks:
            raise ValueError(f"{self.blocks} blocks of losses are needed, got {len(sums)} and {len(counts)}")
        return sums, counts


@dataclass(frozen=True, slots=True)
class CheckpointWritten(RunEvent):
    """A checkpoint was written; always the last event of its step."""

    NAME: ClassVar[str] = "checkpoint"

    folder: str = ""


@dataclass(frozen=True, slots=True)
class StackGrown(RunEvent):
    """The stack grew before the following step; a resume from this step grows it again."""

    NAME: ClassVar[str] = "grown"

    layers_from: int
    layers_to: int
    weights: str | None = None
    moments: str | None = None


@dataclass(frozen=True, slots=True)
class RunAnalysed(RunEvent):
    """An analysis of the network's layers after `step` steps: `found` is a recorded LayerAnalysis."""

    NAME: ClassVar[str] = "analysed"

    found: Tree

    @property
    def analysis(self) -> LayerAnalysis:
        """The analysis as a value."""
        return LayerAnalysis.of(self.found)


@dataclass(frozen=True, slots=True)
class RunDiverged(RunEvent):
    """The end of a run that diverged.

    `kind`: nonfinite_loss | nonfinite_gradients | loss_scale | loss_spike | at_chance | nonfinite_validation.
    """

    NAME: ClassVar[str] = "diverged"

    kind: str | None = None
    reason: str | None = None
    first_bad_step: int | None = None
    metrics: Numbers | None = None
    timing: Numbers | None = None


@dataclass(frozen=True, slots=True)
class TaskScored(RunEvent):
    """One fine-tuning ended, at learning rate `lr` (None: the only one).

    `constant`: it predicts one class for all examples, so it has failed. `majority`: the accuracy of the most frequent
    class.
    """

    NAME: ClassVar[str] = "task"

    suite: str
    task: str
    seed: int
    scores: Numbers
    lr: float | None = None
    constant: bool | None = None
    majority: float | None = None


@dataclass(frozen=True, slots=True)
class RunEvaluated(RunEvent):
    """`metrics`: `test/loss`, `<suite>/<task>/<metric>` (the mean over fine-tuning seeds) and `<suite>/average`; with
    `validation.final` also `valid/*` over that many sequences.
    """

    NAME: ClassVar[str] = "evaluated"

    metrics: Numbers | None = None


@dataclass(frozen=True, slots=True)
class RunFinished(RunEvent):
    """The run reached T and evaluated every task. Its numbers are over the whole run."""

    NAME: ClassVar[str] = "finished"

    metrics: Numbers | None = None
    timing: Numbers | None = None


@dataclass(frozen=True, slots=True)
class RunStopped(RunEvent):
    """A signal ended the attempt, after a checkpoint; a later attempt continues it."""

    NAME: ClassVar[str] = "stopped"

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RunPaused(RunEvent):
    """The run reached `until`, the step at which it was asked to pause, after a validation and a checkpoint."""

    NAME: ClassVar[str] = "paused"

    until: int | None = None


@dataclass(frozen=True, slots=True)
class RunFailed(RunEvent):
    """The attempt failed. `kind`: out_of_memory | crashed; `lines` are the end of the traceback."""

    NAME: ClassVar[str] = "failed"

    kind: str | None = None
    reason: str | None = None
    lines: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class UnknownRunEvent(RunEvent):
    """An event of a later version; its step and numbers count."""

    metrics: Numbers | None = None
    timing: Numbers | None = None


Timed = RunProgress | RunValidated | RunDiverged | RunFinished | UnknownRunEvent
"""Events that may hold timing."""
Measured = Timed | RunEvaluated
"""Events that may hold metrics."""
RunEnd = RunFinished | RunDiverged | RunStopped | RunPaused | RunFailed
"""Events that end an attempt."""

_KINDS: dict[str, type[RunEvent]] = {
    kind.NAME: kind
    for kind in (
        RunStarted,
        RunResumed,
        RunRecovered,
        RunProgress,
        RunValidated,
        HeldOutLosses,
        CheckpointWritten,
        StackGrown,
        RunAnalysed,
        RunDiverged,
        TaskScored,
        RunEvaluated,
        RunFinished,
        RunStopped,
        RunPaused,
        RunFailed,
    )
}


def run_event(record: Mapping[str, Any]) -> RunEvent:
    """Returns the event of one line. Raises StudyError for a later format."""
    event = _KINDS.get(record["event"], UnknownRunEvent).of(record)
    if isinstance(event, RunStarted):
        check_format(event.format)
    return event


def run_events(records: Iterable[Mapping[str, Any]]) -> list[RunEvent]:
    """Returns the events of lines that were read."""
    return [run_event(record) for record in records]


def read_run_events(path: Path) -> list[RunEvent]:
    """Reads every event of a run's file; a missing file has none. Raises StudyError for a damaged file."""
    return run_events(jsonl.read(path))


def last_start(events: Sequence[RunEvent]) -> RunStarted:
    """Returns the first event of the last attempt. Raises StopIteration for a file without one."""
    return next(event for event in reversed(events) if isinstance(event, RunStarted))


def metrics_of(event: RunEvent) -> Numbers:
    """Returns the metrics of an event; empty for an event without metrics."""
    return (event.metrics if isinstance(event, Measured) else None) or {}


def numbers_of(event: RunEvent) -> dict[str, float]:
    """Returns metrics and timing of an event together; empty for an event without numbers."""
    timing = event.timing if isinstance(event, Timed) else None
    return {**metrics_of(event), **(timing or {})}
