"""The recovery of a run that diverged: `on_divergence`.

    stop                the run ends; divergence is a result
    continue_in_fp32    the run continues in fp32 from its last good checkpoint, once; a run in fp32 ends
    lower_lr            the run continues from there with lr times `lr_factor`, at most `recoveries` times

The last good checkpoint is the newest complete one from before the first bad step; without one the run starts again.
The next course of a run is a pure function of the experiment, the course so far and the verdict, so all ranks agree.
The event `recovered` holds it, and an attempt after a kill reads it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pld_search.records.events import RunRecovered
from pld_search.records.run_record import RunWriter
from pld_search.specs.experiment import Experiment, Precision
from pld_search.training import checkpoint
from pld_search.training.checkpoint import Checkpoint
from pld_search.training.divergence import DivergenceNotice
from pld_search.training.learning_rate import Lowered
from pld_search.training.parallel.rank_group import Ranks
from pld_search.training.setup import Setup
from pld_search.training.telemetry import Telemetry

LR_FACTOR, RECOVERIES = 0.5, 3


@dataclass(frozen=True, slots=True)
class Course:
    """The precision and the learning rate factor of a run after `count` recoveries."""

    precision: Precision
    lr_factor: float = 1.0
    count: int = 0

    def of(self, setup: Setup) -> Setup:
        """Returns the setup of a run (as the experiment states it) changed to this course."""
        rate = setup.rate if self.lr_factor == 1 else Lowered(setup.rate, self.lr_factor)
        return replace(setup, precision=self.precision, rate=rate)


def course_at(experiment: Experiment, recovered: Iterable[RunRecovered], step: int) -> Course:
    """Returns the course of a run that continues from `step`, given its surviving `recovered` events."""
    course = Course(experiment.precision)
    for event in recovered:
        if event.from_step <= step:
            course = Course(event.precision, event.lr_factor, event.count)
    return course


def next_course(experiment: Experiment, course: Course) -> Course | None:
    """Returns the next course of a run that diverged on `course`; None if the run ends."""
    rules = experiment.divergence
    if experiment.on_divergence == "continue_in_fp32" and course.precision != "fp32":
        return Course("fp32", course.lr_factor, course.count + 1)
    if experiment.on_divergence == "lower_lr" and course.count < (rules.recoveries or RECOVERIES):
        return Course(course.precision, course.lr_factor * (rules.lr_factor or LR_FACTOR), course.count + 1)
    return None


def recover(
    root: Path,
    verdict: DivergenceNotice,
    course: Course,
    policy: str,
    spent: Telemetry,
    log: RunWriter,
    begins: int,
    ranks: Ranks,
) -> Checkpoint | None:
    """Takes the run with checkpoints in `root` back to its last good one and logs this. Returns the checkpoint; None
    means the beginning, at step `begins`.

    Deletes later checkpoints before it logs: a kill in between leaves a run that diverges again at the same step.
    """
    saved = ranks.first_does(lambda: _last_good(root, verdict, begins))
    step = begins if saved is None else saved.step
    kept = saved.training()["telemetry"] if saved is not None and step > begins else None
    tflop, seconds = spent.since(kept)
    log.emit(
        RunRecovered(
            step,
            policy=policy,
            from_step=step,
            kind=verdict.kind,
            reason=verdict.reason,
            first_bad_step=verdict.first_bad_step,
            noticed=verdict.step,
            precision=course.precision,
            lr_factor=course.lr_factor,
            count=course.count,
            repeated_tflop=tflop,
            repeated_seconds=seconds,
        ),
        durable=True,
    )
    return saved


def _last_good(root: Path, verdict: DivergenceNotice, begins: int) -> Checkpoint | None:
    saved = checkpoint.latest(root, before=verdict.first_bad_step)
    checkpoint.discard_after(root, begins if saved is None else saved.step)
    return saved
