"""At which completed steps a run logs, validates, probes its speed and writes checkpoints: pure functions of T."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pld_search.schedules.units import plain, round_half_up, split, steps_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.layer_series import Analysis


@dataclass(frozen=True, slots=True)
class Calendar:
    """Completed steps lie in 1 .. total. Everything but probes also falls on `total`, whatever its spacing; analyses
    also on 0."""

    total: int
    progress_every: int
    validations: frozenset[int]
    probes: frozenset[int]
    checkpoint_every: int | None
    analyses: frozenset[int] = frozenset()

    def progress(self, done: int) -> bool:
        """Whether a progress event is written after `done` steps."""
        return done % self.progress_every == 0 or done == self.total

    def validation(self, done: int) -> bool:
        """Whether the run validates after `done` steps."""
        return done in self.validations

    def probe(self, done: int) -> bool:
        """Whether the speed at full depth is measured after `done` steps."""
        return done in self.probes

    def analysis(self, done: int) -> bool:
        """Whether the layers are looked at after `done` steps, 0 among them."""
        return done in self.analyses

    def checkpoint(self, done: int) -> bool:
        """Whether a checkpoint is written after `done` steps."""
        return done == self.total or (self.checkpoint_every is not None and done % self.checkpoint_every == 0)


def calendar(experiment: Experiment, execution: Execution) -> Calendar:
    """The calendar of a whole run; times that are shares of it fall on rounded steps."""
    total = experiment.steps
    return Calendar(
        total=total,
        progress_every=-(-total // execution.log_points),
        validations=validation_points(experiment.validation.every, total),
        probes=probe_points(execution.speed_probes, total),
        checkpoint_every=execution.checkpoint_every,
        analyses=analysis_points(execution.analysis, total),
    )


def branch_calendar(whole: Calendar, end: int) -> Calendar:
    """Of a branch that ends after `end` steps: one validation, there, neither probes nor analyses, and checkpoints as
    the execution states.
    """
    return replace(whole, total=end, validations=frozenset({end}), probes=frozenset(), analyses=frozenset())


def validation_points(every: str, total: int) -> frozenset[int]:
    """The steps of a validation every `every`, and T.

    A share falls on the rounded k-th multiple, so that runs of any length validate at the same progress.

    >>> sorted(validation_points("25 %", 10))
    [3, 5, 8, 10]
    >>> sorted(validation_points("4 steps", 10))
    [4, 8, 10]
    """
    number, unit = split(every)
    if unit == "steps":
        points = set(range(int(number), total, int(number))) if number else set()
    else:
        points = (
            {steps_of(f"{plain(k * number)} %", total) for k in range(1, int(100 / number) + 1)} if number else set()
        )
    return frozenset(points - {0} | {total})


def analysis_points(analysis: Analysis | None, total: int) -> frozenset[int]:
    """The steps after which layers are looked at: as a validation would fall, and before the first step."""
    return frozenset() if analysis is None else validation_points(analysis.every, total) | {0}


def probe_points(count: int, total: int) -> frozenset[int]:
    """The middles of `count` equal parts of the run; fewer than `count` in a run of fewer steps."""
    return frozenset(max(1, round_half_up(total * (2 * k + 1) / (2 * count))) for k in range(count))
