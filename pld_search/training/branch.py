"""A branch: a copy of a paused run whose learning rate decays to 0 from there, so that it can be ranked (promotion).

A branch keeps the T, schedule, data and seeds of its run (the trunk), so its steps have the same plans and batches;
only the learning rate differs. Its events are in `branches/<step>/` of the run. It writes nothing into the trunk's
record, and counts its own steps, FLOPs and seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pld_search.costs.branch_steps import branch_end
from pld_search.errors import CheckpointError
from pld_search.host.signals import StopRequest
from pld_search.records.run_record import RunRecord, RunWriter, branch_folder, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import checkpoint
from pld_search.training.attempt import AttemptStart, attempt, check_same_run, log_finished, only_writer
from pld_search.training.calendar import branch_calendar
from pld_search.training.checkpoint import Checkpoint
from pld_search.training.learning_rate import BranchRate
from pld_search.training.loop import CHECKPOINTS, pretrain
from pld_search.training.micro_batch import fitted
from pld_search.training.parallel.consistency import compare
from pld_search.training.parallel.rank_group import ALONE, Ranks
from pld_search.training.recovery import course_at
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State


def branch(
    experiment: Experiment,
    execution: Execution,
    run: Path,
    at: int,
    provenance: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> RunRecord:
    """Trains the branch of the run in the folder `run` after `at` steps, to its end. Returns the branch's folded
    record.

    Starts from the run's checkpoint of that step (a pause keeps it) and validates once, at the end. The branch is then
    `finished`, and its checkpoints are deleted, since only its loss is needed. Resumes, ends and raises like `train`.
    """
    end, out = branch_end(experiment.optimizer, at, experiment.steps), branch_folder(run, at)
    trunk = ranks.first_does(lambda: fold_run(run))
    ranks.each(lambda: check_same_run(trunk, experiment, run))
    with only_writer(out, ranks):
        record = ranks.first_does(lambda: fold_run(out))
        ranks.each(lambda: check_same_run(record, experiment, out))
        if not record.ended:
            saved = ranks.first_does(lambda: checkpoint.latest(out / CHECKPOINTS) or _leave(run, at, out))
            before = [event for event in trunk.recoveries if event.from_step < at]
            start = AttemptStart(saved, course_at(experiment, [*before, *record.recoveries], saved.step), begins=at)
            setup = fitted(
                ranks.each(lambda: open_setup(experiment, execution, ranks)), record if record.started else trunk
            )
            compare(setup, saved.step)
            setup = replace(setup, rate=BranchRate(setup.rate, at, end), calendar=branch_calendar(setup.calendar, end))
            _train(setup, out, start, provenance or {})
        if ranks.first:
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        return ranks.first_does(lambda: fold_run(out))


def _leave(run: Path, at: int, out: Path) -> Checkpoint:
    """Adopts the trunk's checkpoint into the branch's folder: the trunk may continue and delete its own."""
    saved = checkpoint.at(run / CHECKPOINTS, at)
    if saved is None:
        raise CheckpointError(
            f"{run} has no whole checkpoint of step {at}; a branch starts from that of a pause (train --until {at})"
        )
    return checkpoint.adopt(saved, out / CHECKPOINTS)


def _train(setup: Setup, out: Path, start: AttemptStart, provenance: Mapping[str, Any]) -> None:
    end = setup.calendar.total

    def work(current: Setup, progress: State, log: RunWriter, stop: StopRequest) -> None:
        pretrain(current, progress, log, out, stop, end)
        log_finished(progress, log, out)

    attempt(
        setup, out, start, work, provenance, branch={"of": setup.experiment.digest, "at": start.begins, "until": end}
    )
