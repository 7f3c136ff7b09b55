"""One run: `train` starts it, resumes it, pauses it, or does nothing for a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pld_search.errors import ConfigError, Problem
from pld_search.host.signals import StopRequest
from pld_search.records.events import RunEvaluated, RunPaused
from pld_search.records.run_record import RunRecord, RunWriter, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint
from pld_search.training.attempt import AttemptStart, attempt, check_same_run, log_finished, only_writer
from pld_search.training.evaluation import finetune_all, held_out_losses
from pld_search.training.loop import CHECKPOINTS, pretrain, validate
from pld_search.training.micro_batch import fitted
from pld_search.training.parallel.consistency import compare
from pld_search.training.parallel.rank_group import ALONE, Ranks
from pld_search.training.recovery import course_at
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State


def train(
    experiment: Experiment,
    execution: Execution,
    out: Path,
    provenance: Mapping[str, Any] | None = None,
    *,
    until: int | None = None,
    ranks: Ranks = ALONE,
) -> RunRecord:
    """Pre-trains, evaluates and records into `out`; continues from the last complete checkpoint there. Returns the
    folded record.

    With `until` below T the run ends `paused` after that many completed steps, with a validation and a checkpoint, and
    another call continues it exactly. `provenance` is added to the facts that this process collects. A run that has
    finished or diverged, or is paused at `until`, is left unchanged.
    Raises ConfigError or DataError before anything is written (ConfigError also for a checkpoint beyond `until`),
    CheckpointError, StudyError if records cannot be written, and Interrupted after a signal and a checkpoint; any other
    exception is recorded as `failed` and raised again. Divergence is no exception: see the record.
    """
    end = experiment.steps if until is None else min(until, experiment.steps)
    with only_writer(out, ranks):
        record = ranks.first_does(lambda: fold_run(out))
        ranks.each(lambda: check_same_run(record, experiment, out))
        if record.ended or (record.state == "paused" and record.step == end):
            return record
        setup = ranks.each(lambda: open_setup(experiment, execution, ranks))
        saved = ranks.first_does(lambda: checkpoint.latest(out / CHECKPOINTS))
        if saved is not None and saved.step > end:
            raise ConfigError(
                Problem(
                    f"{out} is beyond that step already", ("until",), allowed=f"{saved.step} or more", given=str(until)
                )
            )

        setup = fitted(setup, record)
        compare(setup, 0 if saved is None else saved.step)

        def work(current: Setup, progress: State, log: RunWriter, stop: StopRequest) -> None:
            pretrain(current, progress, log, out, stop, end)
            if end < experiment.steps:
                _pause(current, progress, log, out)
            else:
                _evaluate(current, progress, log, out, stop)

        start = AttemptStart(saved, course_at(experiment, record.recoveries, 0 if saved is None else saved.step))
        attempt(setup, out, start, work, provenance or {})
        return ranks.first_does(lambda: fold_run(out))


def _pause(setup: Setup, progress: State, log: RunWriter, out: Path) -> None:
    """Logs the pause. Validates if the loop has not done so: the attempt resumed from a checkpoint of this step."""
    validations = fold_run(out).series.get("valid/loss", [])
    if not validations or validations[-1][0] != progress.step:
        validate(setup, progress, log)
    log.emit(RunPaused(progress.step, until=progress.step), durable=True)


def _evaluate(setup: Setup, progress: State, log: RunWriter, out: Path, stop: StopRequest) -> None:
    """Evaluates after the last step: every task, the held-out splits, and the sums over the run."""
    model = progress.whole()
    scores = finetune_all(setup, model, out, stop, log)
    final = () if setup.experiment.validation.final is None else ("validation",)
    tested = () if setup.experiment.test == "unseen" else ("test",)
    losses = held_out_losses(setup, model, (*final, *tested), log)
    log.emit(RunEvaluated(setup.calendar.total, metrics={**losses, **scores}))
    log_finished(progress, log, out)
