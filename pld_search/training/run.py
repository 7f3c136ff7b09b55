"""One run: `train` starts it, continues it, or finds that nothing is left to do."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pld_search.disk import held
from pld_search.errors import ConfigError, Interrupted, Problem, StudyError
from pld_search.records.run import RunRecord, RunWriter, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint, state
from pld_search.training.device import compute_settings
from pld_search.training.evaluate import finetune_all, held_out_losses
from pld_search.training.loop import CHECKPOINTS, pretrain
from pld_search.training.provenance import provenance as collected
from pld_search.training.setup import Setup, open_setup
from pld_search.training.signals import StopRequest
from pld_search.training.state import State
from pld_search.training.telemetry import Diverged

EVENTS = "events.jsonl"


def train(experiment: Experiment, execution: Execution, out: Path, provenance: Mapping[str, Any] | None = None) -> RunRecord:
    """Pre-train, evaluate and record into `out`; continues from the last whole checkpoint there. Returns the folded record.

    `provenance` is added to what this process knows of itself. A run that finished or diverged before is left as it is.
    Raises ConfigError or DataError before anything is written, CheckpointError, StudyError where records cannot be written,
    and Interrupted after a signal and a checkpoint; any other exception is recorded as `failed` and raised again. Divergence
    is no exception: see the record.
    """
    out.mkdir(parents=True, exist_ok=True)
    with held(out / ".lock", taken=lambda: f"{out}: another process is training here"):  # one writer a record
        record = fold_run(out)
        _check_same_run(record, experiment, out)
        if record.ended:
            return record
        setup = open_setup(experiment, execution)
        with compute_settings(execution, setup.device), StopRequest() as stop:
            log = RunWriter(out / EVENTS)
            try:
                _attempt(setup, log, out, stop, dict(provenance or {}))
            finally:
                log.close()
        return fold_run(out)


def _attempt(setup: Setup, log: RunWriter, out: Path, stop: StopRequest, provenance: dict[str, Any]) -> None:
    """One attempt from its `started` event to its last."""
    _log_start(setup, log, provenance)
    progress: State | None = None
    try:
        progress = state.fresh(setup)
        _resume(progress, log, out)
        pretrain(setup, progress, log, out, stop)
        _evaluate(setup, progress, log, out, stop)
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


def _log_start(setup: Setup, log: RunWriter, provenance: dict[str, Any]) -> None:
    experiment = setup.experiment
    log.emit(
        "started",
        0,
        durable=True,
        experiment=experiment.model_dump(mode="json"),
        seed=experiment.seed,
        digest=experiment.digest,
        execution=setup.execution.model_dump(mode="json"),
        provenance={**collected(setup.device), **provenance},
        corpus=dict(setup.corpus.statistics),
    )


def _resume(progress: State, log: RunWriter, out: Path) -> None:
    """From the newest whole checkpoint; an attempt without one begins again, and says so."""
    saved = checkpoint.latest(out / CHECKPOINTS)
    if saved is not None:
        progress.restore(saved)
    if log.attempt > 1 or progress.step:
        log.emit("resumed", progress.step, durable=True, from_step=progress.step, repeated_tflop=_repeated(progress, out))


def _repeated(progress: State, out: Path) -> float:
    """TFLOP that earlier attempts recorded beyond the checkpoint: they will be executed again."""
    recorded = fold_run(out).final.get("progress/tflop", 0.0)
    return max(0.0, recorded - progress.telemetry.meter.progress()["progress/tflop"])


def _evaluate(setup: Setup, progress: State, log: RunWriter, out: Path, stop: StopRequest) -> None:
    """After the last step: every task, the test split, and the sums over the run."""
    total, model = setup.calendar.total, progress.at_full_depth()
    scores = finetune_all(setup, model, out, stop, log)
    log.emit("evaluated", total, metrics={**held_out_losses(setup, model, ("test",)), **scores})
    telemetry = progress.telemetry
    sums = {**telemetry.meter.totals(), **telemetry.detector.metrics(), "divergence/diverged": 0.0}
    timing = {**telemetry.speed.overall(), "progress/repeated_tflop": fold_run(out).repeated_tflop}
    log.emit("finished", total, durable=True, metrics=sums, timing=timing)


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
        timing=telemetry.speed.overall(),
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


def _check_same_run(record: RunRecord, experiment: Experiment, out: Path) -> None:
    started = record.started
    if started and (started["digest"], started["seed"]) != (experiment.digest, experiment.seed):
        given = f"{experiment.digest}, seed {experiment.seed}"
        raise ConfigError(Problem(f"{out} holds another run", allowed=f"{started['digest']}, seed {started['seed']}", given=given))
