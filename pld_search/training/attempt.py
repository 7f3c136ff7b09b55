"""One attempt at a run or a branch, from its `started` event to its last event, for every way it can end."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pld_search.errors import CheckpointError, ConfigError, Interrupted, Problem, StudyError
from pld_search.host.disk import held
from pld_search.host.signals import StopRequest
from pld_search.records.events import RunDiverged, RunFailed, RunFinished, RunResumed, RunStarted, RunStopped
from pld_search.records.run_record import RunRecord, RunWriter, fold_run
from pld_search.specs.experiment import Experiment
from pld_search.training import state
from pld_search.training.checkpoint import Checkpoint
from pld_search.training.compiled_dropout import mask_fault
from pld_search.training.device import compute_settings
from pld_search.training.divergence import DivergenceNotice
from pld_search.training.loop import CHECKPOINTS
from pld_search.training.parallel.rank_group import OtherRank, Ranks, lost_rank
from pld_search.training.parallel.rank_log import open_log
from pld_search.training.provenance import changes
from pld_search.training.provenance import provenance as collected
from pld_search.training.recovery import Course, next_course, recover
from pld_search.training.setup import Setup
from pld_search.training.state import State
from pld_search.training.telemetry import Diverged

EVENTS = "events.jsonl"
Work = Callable[[Setup, State, RunWriter, StopRequest], None]


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """The start of one segment of an attempt: a checkpoint (`saved`; None for a start at step 0) and a course.

    `begins`: the first step of this record; above 0 for a branch, which needs a checkpoint.
    """

    saved: Checkpoint | None
    course: Course
    begins: int = 0


def attempt(
    setup: Setup,
    out: Path,
    start: AttemptStart,
    work: Work,
    provenance: Mapping[str, Any],
    branch: Mapping[str, Any] | None = None,
) -> None:
    """Runs `work(setup, state, log, stop)` from `start`, and logs the events of its start and end.

    A run that diverges continues as `on_divergence` says, with another setup and state. `branch` goes into the first
    event and names the run and the step that a branch starts from. Divergence is a result and not an error; Interrupted
    and failures are recorded and raised.
    """
    with compute_settings(setup.execution, setup.device), StopRequest() as stop:
        setup = _with_masks_checked(setup)
        log = open_log(out / EVENTS, setup.ranks)
        try:
            _log_start(setup, log, provenance, start.begins, branch)
            _Segments(setup, log, out, stop, work).run(start)
        finally:
            log.close()
        setup.ranks.wait()


def _with_masks_checked(setup: Setup) -> Setup:
    """Checks compiled dropout once for each attempt; each rank checks its own device."""
    fault = mask_fault(setup)
    if fault is not None and not setup.ranks.rank:
        sys.stderr.write(f"pld-search: compiled dropout is wrong on this device ({fault}): eager masks are used\n")
    return replace(setup, mask_fault=fault)


@dataclass(slots=True)
class _Segments:
    """Runs the attempt in segments; a recovery ends one segment and starts the next with fresh state."""

    setup: Setup
    log: RunWriter
    out: Path
    stop: StopRequest
    work: Work
    step: int = 0

    def run(self, start: AttemptStart) -> None:
        """Runs segment after segment until the work is done, or the run has diverged and cannot recover."""
        onward: AttemptStart | None = start
        try:
            while onward is not None:
                onward = self._segment(onward, first=onward is start)
        except Interrupted as interrupted:
            self.log.emit(RunStopped(self.step, reason=str(interrupted)), durable=True)
            self.setup.ranks.wait()
            raise
        except Exception as error:
            _log_failure(self.log, self.step, error)
            if isinstance(error, OSError):  # a full disk, a lost mount: one line tells everything
                raise StudyError(
                    f"{self.out}: {error.strerror or error} ({error.filename or 'no file named'})"
                ) from error
            if lost_rank(error):
                raise self.setup.ranks.one_voice(OtherRank("another rank has gone", StudyError.exit_code)) from error
            raise

    def _segment(self, start: AttemptStart, *, first: bool) -> AttemptStart | None:
        """Runs one segment. Returns the start of the next one, or None."""
        setup = start.course.of(self.setup)
        progress = state.fresh(setup)
        try:
            self._begin(progress, start, first)
            self.work(setup, progress, self.log, self.stop)
        except Diverged as diverged:
            return self._after(progress, start, diverged.verdict)
        finally:
            self.step = progress.step
        return None

    def _begin(self, progress: State, start: AttemptStart, first: bool) -> None:
        if start.saved is not None:
            progress.restore(start.saved)
            if start.saved.step == start.begins:
                progress.telemetry.begin_branch()
        elif start.begins:
            raise CheckpointError(f"{self.out}: no whole checkpoint is left; delete the folder to branch again")
        # an attempt without a checkpoint starts from the beginning, and its record says so
        if first and (self.log.attempt > 1 or progress.step > start.begins):
            _log_resumed(progress, self.log, self.out)

    def _after(self, progress: State, start: AttemptStart, verdict: DivergenceNotice) -> AttemptStart | None:
        experiment = self.setup.experiment
        course = next_course(experiment, start.course)
        if course is None:
            _log_divergence(progress, self.log, verdict, fold_run(self.out).repeated_tflop)
            return None
        saved = recover(
            self.out / CHECKPOINTS,
            verdict,
            course,
            experiment.on_divergence,
            progress.telemetry,
            self.log,
            start.begins,
            self.setup.ranks,
        )
        return AttemptStart(saved, course, start.begins)


def _log_start(
    setup: Setup, log: RunWriter, provenance: Mapping[str, Any], step: int, branch: Mapping[str, Any] | None
) -> None:
    experiment, fit = setup.experiment, setup.fit
    assert fit is not None
    log.emit(
        RunStarted(
            step,
            experiment=experiment.model_dump(mode="json"),
            seed=experiment.seed,
            digest=experiment.digest,
            execution=setup.execution.model_dump(mode="json"),
            provenance={
                **collected(setup.device, setup.ranks.world, setup.execution.mode),
                "micro_batch": fit.size,
                **({} if setup.mask_fault is None else {"eager_masks": setup.mask_fault}),
                **provenance,
            },
            corpus=dict(setup.corpus.statistics),
            micro_batch=None if fit.by == "stated" else asdict(fit),
            branch=branch,
        ),
        durable=True,
    )


def _log_resumed(progress: State, log: RunWriter, out: Path) -> None:
    """Logs the step at which this attempt resumes, and the executed TFLOP that it will repeat."""
    log.emit(
        RunResumed(
            progress.step,
            from_step=progress.step,
            repeated_tflop=_repeated(progress, out),
            changed=changes(out / EVENTS),
        ),
        durable=True,
    )


def _repeated(progress: State, out: Path) -> float:
    """Returns the TFLOP that earlier attempts recorded beyond the checkpoint; this attempt executes them again."""
    recorded = fold_run(out).final.get("progress/tflop", 0.0)
    return max(0.0, recorded - progress.telemetry.meter.progress()["progress/tflop"])


def log_finished(progress: State, log: RunWriter, out: Path) -> None:
    """Logs the end of the run with the sums over the whole run."""
    telemetry = progress.telemetry
    sums = {**telemetry.meter.totals(), **telemetry.detector.metrics(), "divergence/diverged": 0.0}
    timing = {**telemetry.overall(), "progress/repeated_tflop": fold_run(out).repeated_tflop}
    log.emit(RunFinished(progress.step, metrics=sums, timing=timing), durable=True)


def _log_divergence(progress: State, log: RunWriter, verdict: DivergenceNotice, repeated: float) -> None:
    """Logs the divergence. The sums end at the step at which the divergence was certain, even if it was noticed
    later.
    """
    telemetry = progress.telemetry
    metrics = {
        **telemetry.meter.totals(),
        **telemetry.detector.metrics(),
        "divergence/diverged": 1.0,
        "divergence/first_bad_step": float(verdict.first_bad_step),
    }
    log.emit(
        RunDiverged(
            verdict.step,
            kind=verdict.kind,
            reason=verdict.reason,
            first_bad_step=verdict.first_bad_step,
            metrics=metrics,
            timing={**telemetry.overall(), "progress/repeated_tflop": repeated},
        ),
        durable=True,
    )


def _log_failure(log: RunWriter, step: int, error: Exception) -> None:
    """Logs the failure. An OSError of the log itself is ignored, so that it does not hide the first error."""
    kind = "out_of_memory" if out_of_memory(error) else "crashed"
    lines = "".join(traceback.format_exception(error)).splitlines()[-12:]
    reason = (str(error).strip().splitlines() or [""])[0]
    try:
        log.emit(RunFailed(step, kind=kind, reason=f"{type(error).__name__}: {reason}", lines=lines), durable=True)
    except OSError:
        return


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an allocation failed, on the device or on the host (torch then raises a plain RuntimeError)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)


@contextmanager
def only_writer(out: Path, ranks: Ranks) -> Iterator[None]:
    """Makes the folder and locks it for one writer. Raises StudyError if another run trains in `out`, or if nothing can
    be written there.
    """
    with ExitStack() as stack:
        ranks.first_does(lambda: _take(out, stack))
        yield


def _take(out: Path, stack: ExitStack) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(held(out / ".lock", taken=lambda: f"{out}: another process is training here"))
    except OSError as error:
        raise StudyError(f"{out}: {error.strerror or error}") from error


def check_same_run(record: RunRecord, experiment: Experiment, out: Path) -> None:
    """Raises ConfigError if the folder holds the events of another run."""
    started = record.started
    if started and (started.digest, started.seed) != (experiment.digest, experiment.seed):
        given = f"{experiment.digest}, seed {experiment.seed}"
        raise ConfigError(
            Problem(f"{out} holds another run", allowed=f"{started.digest}, seed {started.seed}", given=given)
        )
