"""The record of one run: the writer of its `events.jsonl`, and the single fold of it that every reader uses.

events.py defines the kinds of events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pld_search.records import jsonl
from pld_search.records.events import (
    HeldOutLosses,
    Measured,
    RunAnalysed,
    RunEnd,
    RunEvaluated,
    RunEvent,
    RunFinished,
    RunPaused,
    RunRecovered,
    RunResumed,
    RunStarted,
    StackGrown,
    TaskScored,
    Timed,
    WrittenSchedule,
    read_run_events,
)
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.specs.experiment import Experiment
from pld_search.specs.pretraining import Pretraining, pretraining_of

EVENTS = "events.jsonl"
ANALYSIS = "analysis"
"""The folder of a run with the events of analyses that were requested later."""
RunState = Literal["new", "running", "finished", "diverged", "stopped", "paused", "failed"]
_ENDS: dict[str, RunState] = {
    "finished": "finished",
    "diverged": "diverged",
    "stopped": "stopped",
    "paused": "paused",
    "failed": "failed",
}
Point = tuple[int, float]
_KEPT = 512  # folds of unchanged files in memory: about 0.2 MB each with the 200 points of a run


class RunWriter:
    """Appends the events of one attempt; `attempt` and `seq` continue from the content of the file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        earlier = read_run_events(path)
        self._writer = jsonl.Writer(path)
        self._clock = clock
        self._seq = len(earlier)
        self.attempt = 1 + max((event.attempt for event in earlier), default=0)

    def emit(self, event: RunEvent, *, durable: bool = False) -> None:
        """Appends an event with this attempt, the next `seq` and the current time; flushed to the disk if `durable`."""
        written = replace(event, attempt=self.attempt, seq=self._seq, time=self._clock())
        self._writer.write(written.record(), durable=durable)
        self._seq += 1

    def sync(self) -> None:
        """Flushes every event so far to the disk: a checkpoint must not be newer than the events from which a resume
        continues.
        """
        self._writer.sync()

    def close(self) -> None:
        """Closes `events.jsonl`; a second call does nothing."""
        self._writer.close()


@dataclass(slots=True)
class RunRecord:
    """The fold of a run's events: `series` of `metrics`, which are deterministic, and `timing` of measured times.

    `final` holds the last value of every name of both. `finished` may summarise the run under the name of a series
    (drop/layers_kept), and `evaluated` may read more text (valid/loss); the series keeps its own last point then.
    `grown` holds (step, layers from there on) of a stack that grows. `repeated_*` counts work that was executed again
    after resumes and recoveries (seconds: recoveries only). `analyses` holds (step, analysis), including analyses that
    were requested later; `analysis_seconds` is the duration of the run's own analyses. `losses` holds the final losses
    of each split, by documents. `scored` counts the fine-tunings that ended. `started` is the first event of the last
    attempt. Readers share a record that was read from a file, so nobody may change it.
    """

    state: RunState = "new"
    reason: str | None = None
    kind: str | None = None
    attempt: int = 0
    step: int = 0
    executed_steps: int = 0
    repeated_tflop: float = 0.0
    repeated_seconds: float = 0.0
    started: RunStarted | None = None
    series: dict[str, list[Point]] = field(default_factory=dict)
    timing: dict[str, list[Point]] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    resumed_from: list[int] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)
    scored: int = 0
    grown: list[tuple[int, int]] = field(default_factory=list)
    recoveries: list[RunRecovered] = field(default_factory=list)
    analyses: list[tuple[int, LayerAnalysis]] = field(default_factory=list)
    analysis_seconds: float = 0.0
    losses: dict[str, HeldOutLosses] = field(default_factory=dict)
    fine_tunings: list[TaskScored] = field(default_factory=list)
    first_time: float | None = None
    last_time: float | None = None
    _experiment: Experiment | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        """Returns the run in one line, without its series."""
        return f"<run: {self.state} at step {self.step:,}, {len(self.series)} series>"

    @property
    def ended(self) -> bool:
        """Whether the run finished or diverged, so that nothing is left to do. A paused run has not ended."""
        return self.state in ("finished", "diverged")

    @property
    def experiment_tree(self) -> Mapping[str, Any]:
        """The canonical tree of the recorded experiment; empty before the first event."""
        return (self.started and self.started.experiment) or {}

    @property
    def schedule(self) -> WrittenSchedule:
        """Name and kinds of its schedule, without validation of the experiment; empty if none was recorded."""
        return WrittenSchedule.of(self.experiment_tree)

    @property
    def experiment(self) -> Experiment | None:
        """The recorded experiment, validated at the first access; None before the first event.

        Raises pydantic's ValidationError for an experiment that this version cannot read.
        """
        if self._experiment is None and self.experiment_tree:
            self._experiment = Experiment.model_validate(self.experiment_tree)
        return self._experiment

    @property
    def pretraining(self) -> Pretraining | None:
        """The recorded objective of the run; None is masked language modelling."""
        written = self.experiment_tree.get("pretraining")
        return pretraining_of(written)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Versions, machine and commit of the last attempt; empty if none were recorded."""
        return (self.started and self.started.provenance) or {}

    @property
    def execution(self) -> Mapping[str, Any]:
        """The Execution of the last attempt; empty if none was recorded."""
        return (self.started and self.started.execution) or {}

    @property
    def corpus(self) -> Mapping[str, Any]:
        """Statistics of the corpus; empty if none were recorded."""
        return (self.started and self.started.corpus) or {}

    @property
    def versions(self) -> Mapping[str, str]:
        """The versions that the last attempt used, by name."""
        return self.provenance.get("versions") or {}

    @property
    def micro_batch(self) -> int | None:
        """The size of the last attempt's micro-batch, in sequences of a rank."""
        size = self.provenance.get("micro_batch")
        return None if size is None else int(size)

    def analysis_at(self, step: int | None) -> LayerAnalysis | None:
        """Returns the analysis after `step` steps (None: the latest); None if there is none."""
        found = [analysis for at, analysis in self.analyses if step in (None, at)]
        return found[-1] if found else None

    @property
    def seed(self) -> int | None:
        """The seed of the run; None before its first event."""
        return self.started.seed if self.started else None


def surviving(events: Iterable[RunEvent]) -> list[RunEvent]:
    """Returns the events that count. A `resumed {from_step: s}` drops events of earlier attempts with step > s, and a
    growth right after s.

    A `recovered {from_step: s}` also drops such events of its own attempt.
    """
    kept: list[RunEvent] = []
    for event in events:
        if isinstance(event, RunResumed | RunRecovered):
            own, start = event.attempt if isinstance(event, RunResumed) else None, event.from_step
            kept = [
                earlier
                for earlier in kept
                # a growth belongs to the following step; all other events belong to the completed step
                if earlier.attempt == own or earlier.step + isinstance(earlier, StackGrown) <= start
            ]
        if not isinstance(event, RunResumed):
            kept.append(event)
    return kept


def fold(events: Iterable[RunEvent]) -> RunRecord:
    """Folds a run's events: the last attempt counts; superseded steps are dropped but counted as executed."""
    record = RunRecord()
    events = list(events)
    for event in events:
        _tell(record, event)
    kept = [event for event in surviving(events) if not isinstance(event, RunStarted)]
    for event in kept:
        if isinstance(event, Measured):
            _collect(record, event)
    record.grown = [(event.step, event.layers_to) for event in kept if isinstance(event, StackGrown)]
    record.analyses = _analyses(kept)
    record.losses = {event.split: event for event in kept if isinstance(event, HeldOutLosses)}
    record.fine_tunings = [event for event in kept if isinstance(event, TaskScored)]
    record.scored = len(record.fine_tunings)
    record.pauses = [event.step for event in kept if isinstance(event, RunPaused)]
    record.recoveries = [event for event in kept if isinstance(event, RunRecovered)]
    begun = record.started.step if record.started else 0
    record.step = max((event.step for event in kept), default=record.resumed_from[-1] if record.resumed_from else begun)
    record.executed_steps = _executed(events)
    return record


def _tell(record: RunRecord, event: RunEvent) -> None:
    """Applies the part of an event that counts even if it is superseded: the run's state, and repeated work."""
    record.first_time = event.time if record.first_time is None else record.first_time
    record.last_time = event.time
    record.attempt = event.attempt
    if isinstance(event, RunStarted):
        record.state, record.reason, record.kind = "running", None, None
        record.started = event
    elif isinstance(event, RunResumed):
        record.repeated_tflop += event.repeated_tflop or 0.0
        record.resumed_from.append(event.from_step)
    elif isinstance(event, RunRecovered):
        record.repeated_tflop += event.repeated_tflop or 0.0
        record.repeated_seconds += event.repeated_seconds or 0.0
    elif isinstance(event, RunAnalysed):
        record.analysis_seconds += event.analysis.seconds
    elif isinstance(event, RunEnd):
        record.state = _ENDS[event.NAME]
        record.reason, record.kind = getattr(event, "reason", None), getattr(event, "kind", None)


def _analyses(events: Iterable[RunEvent]) -> list[tuple[int, LayerAnalysis]]:
    """Returns the analyses by step. Of two at one step, the later one counts, unless it measured less."""
    found: dict[int, LayerAnalysis] = {}
    for event in events:
        if isinstance(event, RunAnalysed):
            before = found.get(event.step)
            if before is None or before.elasticity is None or event.analysis.elasticity is not None:
                found[event.step] = event.analysis
    return sorted(found.items())


def _executed(events: Iterable[RunEvent]) -> int:
    """Returns the executed steps over all attempts: for each start, resume or recovery, the steps from there to the
    furthest step reached before the next one.
    """
    total = begun = reached = 0
    for event in events:
        if isinstance(event, RunStarted | RunResumed | RunRecovered):
            noticed = event.noticed if isinstance(event, RunRecovered) else None
            total += max(reached, noticed or 0) - begun
            begun = reached = event.step
        else:
            reached = max(reached, event.step)
    return total + reached - begun


def _collect(record: RunRecord, event: Measured) -> None:
    # over the whole run, or over more sequences than the series: it does not replace a point of the series
    summary = isinstance(event, RunFinished | RunEvaluated)
    timing = event.timing if isinstance(event, Timed) else None
    for target, numbers in ((record.series, event.metrics), (record.timing, timing)):
        for name, value in (numbers or {}).items():
            points = target.setdefault(name, [])
            taken = bool(points) and points[-1][0] == event.step
            if taken and not summary:
                points.pop()
            if not (taken and summary):
                points.append((event.step, value))
            record.final[name] = value


def branch_folder(run: Path, at: int) -> Path:
    """Returns the folder with the events of the branch that left a run after `at` steps."""
    return run / "branches" / str(at)


RunVersion = tuple[jsonl.Version, jsonl.Version | None]
"""The versions of a run's events and of the events of its later analyses (None if there are none)."""


def run_version(folder: Path) -> RunVersion | None:
    """Returns the version of a run, equal while the files that `fold_run` reads are unchanged; None if there is no
    run.
    """
    version = jsonl.version_of(f"{folder}/{EVENTS}")
    return None if version is None else (version, jsonl.version_of(f"{folder}/{ANALYSIS}/{EVENTS}"))


def fold_run(folder: Path) -> RunRecord:
    """Returns the fold of `folder/events.jsonl`; a new run if there is no file. The same record is returned while the
    file is unchanged.

    Raises StudyError for a damaged file.
    """
    version = run_version(folder)
    return RunRecord() if version is None else _folded(folder, version)


@lru_cache(maxsize=_KEPT)
def _folded(folder: Path, version: RunVersion) -> RunRecord:
    """Folds the files of a run; a pure function of their content, which `version` stands for."""
    events = read_run_events(folder / EVENTS)
    record = fold(events)
    if version[1] is not None:
        record.analyses = _analyses([*surviving(events), *read_run_events(folder / ANALYSIS / EVENTS)])
    return record
