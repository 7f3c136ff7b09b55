"""The pre-training loop: every step trains, logs, validates, analyses and writes a checkpoint, in this order."""

from __future__ import annotations

import math
import time
from pathlib import Path

from pld_search.host.signals import StopRequest
from pld_search.records.events import CheckpointWritten, RunProgress, RunValidated
from pld_search.records.run_record import RunWriter, fold_run
from pld_search.training import checkpoint
from pld_search.training.analyse_layers import analyse_layers
from pld_search.training.divergence import DivergenceNotice
from pld_search.training.grow import grow
from pld_search.training.held_out_losses import held_out_metrics
from pld_search.training.prefetch import Prefetch
from pld_search.training.setup import Setup
from pld_search.training.state import State
from pld_search.training.step import probe_full_depth, train_step
from pld_search.training.telemetry import Diverged

CHECKPOINTS = "checkpoints"


def pretrain(setup: Setup, state: State, log: RunWriter, out: Path, stop: StopRequest, until: int) -> None:
    """Runs steps `state.step` .. until - 1, then validates and writes a checkpoint at `until`.

    Raises Diverged, or Interrupted after a checkpoint when a signal asked for it.
    """
    calendar, telemetry = setup.calendar, state.telemetry
    saver = Saver(setup, state, log, out)
    if calendar.analysis(0) and state.step == 0:
        analyse_layers(setup, state, log)
    with Prefetch(setup.batch_at, state.step, until) as batches:
        telemetry.restart_clock()
        for step, batch in batches:
            grow(setup, state, log, step)
            telemetry.push(train_step(setup, state, step, batch))
            state.step = done = step + 1
            (due, stopping), last = saver.agreed(done, stop), done == until
            if calendar.progress(done):
                log_progress(setup, state, log)
            looked_at = calendar.validation(done) or calendar.analysis(done)
            if calendar.probe(done) or looked_at or due or stopping or last:
                with telemetry.paused():
                    if calendar.probe(done):
                        telemetry.speed.probe(probe_full_depth(setup, state, step, batch))
                    if calendar.validation(done) or last:
                        validate(setup, state, log)
                    if calendar.analysis(done):
                        analyse_layers(setup, state, log)
                    if due or stopping or last:
                        saver.save()
            if stopping:
                raise setup.ranks.one_voice(
                    stop.interrupted(f"after step {done} of {calendar.total}; a checkpoint was written")
                )


def log_progress(setup: Setup, state: State, log: RunWriter) -> None:
    """Logs the means since the last progress event, and the learning rate and theta of the last step."""
    state.telemetry.settle()
    last = state.step - 1
    theta = float(setup.experiment.schedule.theta(last, setup.experiment.steps))
    metrics = {**state.telemetry.meter.take_interval(), "train/lr": setup.rate.at(last), "drop/theta": theta}
    log.emit(RunProgress(state.step, metrics=metrics, timing=state.telemetry.speed.interval()))


def validate(setup: Setup, state: State, log: RunWriter) -> None:
    """Validates and logs. Raises Diverged if the loss is not finite: the weights are then useless, and metrics are
    always finite.
    """
    found = held_out_metrics(setup, state.at_full_depth(), state.numerics, "validation")
    if not math.isfinite(found["loss"]):
        raise Diverged(
            DivergenceNotice("nonfinite_validation", "the validation loss is not finite", state.step, state.step)
        )
    # the costs so far are logged with the loss, so that it can be drawn over steps, tokens, FLOPs and time
    telemetry = state.telemetry
    log.emit(
        RunValidated(
            state.step,
            metrics={
                **{f"valid/{name}": value for name, value in found.items() if math.isfinite(value)},
                **telemetry.meter.progress(),
            },
            timing={"progress/seconds": telemetry.speed.seconds},
        )
    )


class Saver:
    """Writes checkpoints when the calendar or the clock says so. The event of a checkpoint is the last of its step.

    The checkpoint of the last pause stays until the run has ended or paused again: a branch may still start from it. If
    `on_divergence` returns to a checkpoint, the newest one without an open streak of bad steps also stays: a divergence
    found later began after it.
    """

    def __init__(self, setup: Setup, state: State, log: RunWriter, out: Path) -> None:
        self._setup, self._state, self._log, self._root = setup, state, log, out / CHECKPOINTS
        self._paused = fold_run(out).pauses[-1:]
        self._calm = checkpoint.steps_of(self._root)  # all of them may be needed until this attempt saves a newer one
        self._last = time.monotonic()

    def agreed(self, done: int, stop: StopRequest) -> tuple[bool, bool]:
        """Returns whether to write a checkpoint after `done` steps, and whether to stop. Each rank has its own clock
        and signals; if one rank decides, all ranks act at the same step. A signal that arrives during this exchange
        counts for the next step: a rank that acted on it alone would leave the others in another collective.
        """
        late = time.monotonic() - self._last >= self._setup.execution.checkpoint_seconds
        signalled, late_anywhere = self._setup.ranks.highest(stop.number or 0, int(late))
        stop.hear(signalled)
        return self._setup.calendar.checkpoint(done) or bool(late_anywhere), bool(signalled)

    def save(self) -> None:
        """Writes the events first, then the checkpoint: a resume thus has every event of the earlier steps."""
        self._log.sync()
        if self._state.telemetry.detector.calm:
            self._calm = [self._state.step]
        saved = self._state.save(self._root, keep=self._setup.execution.keep_checkpoints, held=self._steps_to_keep())
        self._log.emit(CheckpointWritten(saved.step, folder=f"{CHECKPOINTS}/{saved.folder.name}"), durable=True)
        self._last = time.monotonic()

    def _steps_to_keep(self) -> list[int]:
        going = self._state.step < self._setup.calendar.total
        returns = self._setup.experiment.on_divergence != "stop"
        return [*(self._paused if going else ()), *(self._calm if going and returns else ())]
