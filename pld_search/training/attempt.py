"""One attempt at a run or a branch: from its `started` event to its last, whatever ends it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pld_search.disk import held
from pld_search.errors import ConfigError, Interrupted, Problem, StudyError
from pld_search.records.run import RunRecord, RunWriter, fold_run
from pld_search.specs.experiment import Experiment
from pld_search.training import state
from pld_search.training.device import compute_settings
from pld_search.training.provenance import provenance as collected
from pld_search.training.setup import Setup
from pld_search.training.signals import StopRequest
from pld_search.training.state import State
from pld_search.training.telemetry import Diverged

EVENTS = "events.jsonl"
Work = Callable[[State, RunWriter, StopRequest], None]


def attempt(setup: Setup, out: Path, work: Work, provenance: Mapping[str, Any], begins: int = 0, **started: Any) -> None:
    """`work(state, log, stop)` on a fresh state, between the events that say how it began (at step `begins`) and ended.

    `started` are further fields of the first event. Divergence is a result; Interrupted and failures are recorded and raised.
    """
    with compute_settings(setup.execution, setup.device), StopRequest() as stop:
        log = RunWriter(out / EVENTS)
        try:
            _log_start(setup, log, provenance, begins, started)
            _worked(setup, log, out, stop, work)
        finally:
            log.close()


def _worked(setup: Setup, log: RunWriter, out: Path, stop: StopRequest, work: Work) -> None:
    progress: State | None = None
    try:
        progress = state.fresh(setup)
        work(progress, log, stop)
    except Diverged as diverged:
        assert progress is not None
        _log_divergence(progress, log, diverged)
    except Interrupted as interrupted:
        log.emit("stopped", 0 if progress is None else progress.step, durable=True, reason=str(interrupted))
        raise
    except Exception as error:
        _log_failure(log, 0 if progress is None else progress.step, error)
        if isinstance(error, OSError):  # a full disk, a lost mount: one line is all there is to say
            raise StudyError(f"{out}: {error.strerror or error} ({error.filename or 'no file named'})") from error
        raise


def _log_start(setup: Setup, log: RunWriter, provenance: Mapping[str, Any], step: int, fields: Mapping[str, Any]) -> None:
    experiment = setup.experiment
    log.emit(
        "started",
        step,
        durable=True,
        experiment=experiment.model_dump(mode="json"),
        seed=experiment.seed,
        digest=experiment.digest,
        execution=setup.execution.model_dump(mode="json"),
        provenance={**collected(setup.device), **provenance},
        corpus=dict(setup.corpus.statistics),
        **fields,
    )


def log_resumed(progress: State, log: RunWriter, out: Path) -> None:
    """From which step this attempt goes on, and how much of what was executed before it executes again."""
    log.emit("resumed", progress.step, durable=True, from_step=progress.step, repeated_tflop=_repeated(progress, out))


def _repeated(progress: State, out: Path) -> float:
    """TFLOP that earlier attempts recorded beyond the checkpoint: they will be executed again."""
    recorded = fold_run(out).final.get("progress/tflop", 0.0)
    return max(0.0, recorded - progress.telemetry.meter.progress()["progress/tflop"])


def log_finished(progress: State, log: RunWriter, out: Path) -> None:
    """The sums over the whole run."""
    telemetry = progress.telemetry
    sums = {**telemetry.meter.totals(), **telemetry.detector.metrics(), "divergence/diverged": 0.0}
    timing = {**telemetry.overall(), "progress/repeated_tflop": fold_run(out).repeated_tflop}
    log.emit("finished", progress.step, durable=True, metrics=sums, timing=timing)


def _log_divergence(progress: State, log: RunWriter, diverged: Diverged) -> None:
    """The sums are those of the step at which it was certain, however much later it was noticed."""
    verdict, telemetry = diverged.verdict, progress.telemetry
    metrics = {
        **telemetry.meter.totals(),
        **telemetry.detector.metrics(),
        "divergence/diverged": 1.0,
        "divergence/first_bad_step": float(verdict.first_bad_step),
    }
    log.emit(
        "diverged",
        verdict.step,
        durable=True,
        reason=verdict.reason,
        first_bad_step=verdict.first_bad_step,
        metrics=metrics,
        timing=telemetry.overall(),
    )


def _log_failure(log: RunWriter, step: int, error: Exception) -> None:
    """The record must not hide the error: a disk too full for it leaves only the exception."""
    kind = "out_of_memory" if out_of_memory(error) else "crashed"
    lines = "".join(traceback.format_exception(error)).splitlines()[-12:]
    reason = (str(error).strip().splitlines() or [""])[0]
    try:
        log.emit("failed", step, durable=True, kind=kind, reason=f"{type(error).__name__}: {reason}", lines=lines)
    except OSError:
        return


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on the device or on the host (where torch raises a plain RuntimeError)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """One writer a record: raises StudyError where another process trains in `out`. Makes the folder."""
    out.mkdir(parents=True, exist_ok=True)
    with held(out / ".lock", taken=lambda: f"{out}: another process is training here"):
        yield


def check_same_run(record: RunRecord, experiment: Experiment, out: Path) -> None:
    """Raises ConfigError where a folder holds the events of another run."""
    started = record.started
    if started and (started["digest"], started["seed"]) != (experiment.digest, experiment.seed):
        given = f"{experiment.digest}, seed {experiment.seed}"
        raise ConfigError(Problem(f"{out} holds another run", allowed=f"{started['digest']}, seed {started['seed']}", given=given))
