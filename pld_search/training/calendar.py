"""The completed steps after which a run logs, validates, analyses, probes its speed and writes checkpoints: pure
functions of T.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pld_search.schedules.units import plain, round_half_up, split, steps_of
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.layer_series import Analysis


@dataclass(frozen=True, slots=True)
class Calendar:
    """Completed steps are 1 .. total. Everything except probes also happens at `total`; analyses also happen at 0."""

    total: int
    progress_every: int
    validations: frozenset[int]
    probes: frozenset[int]
    checkpoint_every: int | None
    analyses: frozenset[int] = frozenset()

    def progress(self, done: int) -> bool:
        """Returns whether a progress event is written after `done` steps."""
        return done % self.progress_every == 0 or done == self.total

    def validation(self, done: int) -> bool:
        """Returns whether the run validates after `done` steps."""
        return done in self.validations

    def probe(self, done: int) -> bool:
        """Returns whether the speed at full depth is measured after `done` steps."""
        return done in self.probes

    def analysis(self, done: int) -> bool:
        """Returns whether the layers are analysed after `done` steps (0 is possible)."""
        return done in self.analyses

    def checkpoint(self, done: int) -> bool:
        """Returns whether a checkpoint is written after `done` steps."""
        return done == self.total or (self.checkpoint_every is not None and done % self.checkpoint_every == 0)


def calendar(experiment: Experiment, execution: Execution) -> Calendar:
    """Returns the calendar of a whole run. Times given as shares of the run are rounded to steps."""
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
    """Returns the calendar of a branch that ends after `end` steps: one validation at the end, no probes, no analyses,
    and checkpoints as the execution states.
    """
    return replace(whole, total=end, validations=frozenset({end}), probes=frozenset(), analyses=frozenset())


def validation_points(every: str, total: int) -> frozenset[int]:
    """Returns the steps of a validation every `every`, and T.

    The k-th multiple of a share is rounded to a step, so that runs of any length validate at the same progress.

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
    """Returns the steps after which layers are analysed: spaced like validations, and also before the first step."""
    return frozenset() if analysis is None else validation_points(analysis.every, total) | {0}


def probe_points(count: int, total: int) -> frozenset[int]:
    """Returns the middles of `count` equal parts of the run; fewer than `count` if the run has fewer steps."""
    return frozenset(max(1, round_half_up(total * (2 * k + 1) / (2 * count))) for k in range(count))
