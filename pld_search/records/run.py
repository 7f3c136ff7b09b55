"""What one run did: its `events.jsonl`, written by the training process and folded by everyone.

Every event has `event`, `attempt`, `seq`, `step` (completed steps, 0 .. T) and `time` (Unix seconds). The kinds:

    started     first of every attempt: experiment, seed, digest, execution, provenance, corpus; of a branch also branch
                {of: digest of
                the trunk's experiment, at, until}: its step is `at`, where it left the trunk; with `micro_batch: auto`
                also micro_batch {size, by:
                forecast | trial | recorded | out_of_memory, needed_bytes, free_bytes}; the size of any is
                provenance.micro_batch
    resumed     from_step s: events of earlier attempts with step > s leave the series; repeated_tflop: what they had
                executed beyond s
    recovered   policy, from_step s, reason, kind, first_bad_step, noticed: the run had diverged at step `noticed` and
                goes on from step s, in
                precision and with lr times lr_factor from there on, for the count-th time; all earlier events with step
                > s leave the series;
                repeated_tflop, repeated_seconds: the price
    progress    metrics (deterministic numbers of training), timing (measured ones)
    valid       metrics {"valid/loss": ...}
    checkpoint  folder; always the last event of its step
    grown       layers_from, layers_to, weights, moments: the stack grew before the step that follows; a resume from
                there grows again
    diverged    reason, kind (nonfinite_loss | nonfinite_gradients | loss_scale | loss_spike | at_chance |
                nonfinite_validation), first_bad_step
    task        suite, task, seed, scores: one fine-tuning ended
    evaluated   metrics {"test/loss": ..., "<suite>/<task>/<metric>": mean over fine-tuning seeds, "<suite>/average":
                ...}
    finished    metrics, timing: the end; T was reached and every task evaluated
    stopped     reason: by a signal, after a checkpoint; a later attempt goes on
    paused      until: the step it was asked to end at (`train --until`), after a validation and a checkpoint; a later
                attempt goes on
    failed      reason, kind: out_of_memory | crashed
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pld_search.records import jsonl
from pld_search.specs.pretraining import Pretraining, pretraining_of

RunState = Literal["new", "running", "finished", "diverged", "stopped", "paused", "failed"]
_ENDS: dict[str, RunState] = {
    "finished": "finished",
    "diverged": "diverged",
    "stopped": "stopped",
    "paused": "paused",
    "failed": "failed",
}
_OPENING = frozenset({"grown"})  # of the step that follows, where all other events are of the step that was completed
Point = tuple[int, float]


class RunWriter:
    """Appends the events of one attempt; `attempt` and `seq` go on from what the file already holds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        earlier = jsonl.read(path)
        self._writer = jsonl.Writer(path)
        self._clock = clock
        self._seq = len(earlier)
        self.attempt = 1 + max((event["attempt"] for event in earlier), default=0)

    def emit(self, event: str, step: int, *, durable: bool = False, **fields: Any) -> None:
        record = {
            "event": event,
            "attempt": self.attempt,
            "seq": self._seq,
            "step": step,
            "time": self._clock(),
            **fields,
        }
        self._writer.write(record, durable=durable)
        self._seq += 1

    def sync(self) -> None:
        """Every event so far reaches the disk: what a checkpoint supersedes must not be newer than the events it goes
        on from.
        """
        self._writer.sync()

    def close(self) -> None:
        self._writer.close()


@dataclass(slots=True)
class RunRecord:
    """The fold of a run's events: `series` from `metrics`, which are deterministic, `timing` from what a clock
    measured.

    `final` holds the last value of every name of both; where `finished` sums up the run under a name that is also a
    series (drop/layers_kept), the series keeps its own last point. `grown` holds (step, layers from there on) of a
    stack that grows. `repeated_*` is what was executed again, by resumes and recoveries (seconds: by recoveries).
    """

    state: RunState = "new"
    reason: str | None = None
    kind: str | None = None
    attempt: int = 0
    step: int = 0
    executed_steps: int = 0
    repeated_tflop: float = 0.0
    repeated_seconds: float = 0.0
    started: dict[str, Any] = field(default_factory=dict)
    series: dict[str, list[Point]] = field(default_factory=dict)
    timing: dict[str, list[Point]] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    resumed_from: list[int] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)
    grown: list[tuple[int, int]] = field(default_factory=list)
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    first_time: float | None = None
    last_time: float | None = None

    @property
    def pretraining(self) -> Pretraining | None:
        """What the run learns, as it recorded when it started; None is masked language modelling."""
        written = (self.started.get("experiment") or {}).get("pretraining")
        return pretraining_of(written)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do: the run finished or diverged. A paused one has not ended."""
        return self.state in ("finished", "diverged")


def surviving(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events that count: a `resumed {from_step: s}` drops those of earlier attempts with step > s, and what came
    right after s.

    A `recovered {from_step: s}` drops those of its own attempt too.
    """
    kept: list[Mapping[str, Any]] = []
    for event in events:
        if event["event"] in ("resumed", "recovered"):
            own, start = event["attempt"] if event["event"] == "resumed" else None, event["from_step"]
            kept = [
                earlier
                for earlier in kept
                if earlier["attempt"] == own or earlier["step"] + (earlier["event"] in _OPENING) <= start
            ]
        if event["event"] != "resumed":
            kept.append(event)
    return kept


def fold(events: Iterable[Mapping[str, Any]]) -> RunRecord:
    """The one reader of a run's events: the last attempt's truth, superseded steps dropped but counted as executed."""
    record = RunRecord()
    events = list(events)
    for event in events:
        _tell(record, event)
    kept = [event for event in surviving(events) if event["event"] != "started"]
    for event in kept:
        _collect(record, event)
    record.grown = [(event["step"], event["layers_to"]) for event in kept if event["event"] == "grown"]
    record.pauses = [event["step"] for event in kept if event["event"] == "paused"]
    record.recoveries = [dict(event) for event in kept if event["event"] == "recovered"]
    record.step = max(
        (event["step"] for event in kept),
        default=record.resumed_from[-1] if record.resumed_from else record.started.get("step", 0),
    )
    record.executed_steps = _executed(events)
    return record


def _tell(record: RunRecord, event: Mapping[str, Any]) -> None:
    """What counts of every event, superseded or not: how the run stands, and what was repeated."""
    kind = event["event"]
    record.first_time = event["time"] if record.first_time is None else record.first_time
    record.last_time = event["time"]
    record.attempt = event["attempt"]
    if kind == "started":
        record.state, record.reason, record.kind = "running", None, None
        record.started = dict(event)
    elif kind in ("resumed", "recovered"):
        record.repeated_tflop += event.get("repeated_tflop", 0.0)
        record.repeated_seconds += event.get("repeated_seconds", 0.0)
        if kind == "resumed":
            record.resumed_from.append(event["from_step"])
    elif kind in _ENDS:
        record.state, record.reason, record.kind = _ENDS[kind], event.get("reason"), event.get("kind")


def _executed(events: Iterable[Mapping[str, Any]]) -> int:
    """Steps over all attempts: each stretch between a start, resume or recovery and the furthest step that was reached
    from there.
    """
    total = begun = reached = 0
    for event in events:
        kind = event["event"]
        if kind in ("started", "resumed", "recovered"):
            total += max(reached, event.get("noticed", 0)) - begun
            begun = reached = event["step"]
        else:
            reached = max(reached, event["step"])
    return total + reached - begun


def _collect(record: RunRecord, event: Mapping[str, Any]) -> None:
    summary = event["event"] == "finished"  # over the whole run: no later value for a point that the series has
    for target, numbers in ((record.series, event.get("metrics")), (record.timing, event.get("timing"))):
        for name, value in (numbers or {}).items():
            points = target.setdefault(name, [])
            taken = bool(points) and points[-1][0] == event["step"]
            if taken and not summary:
                points.pop()
            if not (taken and summary):
                points.append((event["step"], value))
            record.final[name] = value


def branch_folder(run: Path, at: int) -> Path:
    """Where the branch that left a run after `at` steps keeps its own events."""
    return run / "branches" / str(at)


def fold_run(folder: Path) -> RunRecord:
    """The fold of `folder/events.jsonl`."""
    return fold(jsonl.read(folder / "events.jsonl"))
