"""The step at which a share of a run's expected FLOPs is spent: the step of a rung, which depends on the schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from pld_search.costs.expected_depth import kept_at, side_by_side
from pld_search.costs.flops import FlopsAt, run_flops
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.existing_layers import LayersAt, layers_at
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Experiment
from pld_search.specs.growth import layers_of


def rung_steps(experiment: Experiment, shares: Sequence[Decimal]) -> list[int]:
    """Returns, for each rising share in (0, 1), the completed steps after which at least that share of the expected
    FLOPs is spent.

    The result is exact, by sums of whole numbers; in a sampled run (costs/stretches.py) it is right to a step or two.
    Raises ConfigError for a run of so few steps that two rungs fall on one step, or one falls on its end.
    """
    costs = _Costs(experiment)
    found = [costs.step_at(Fraction(share)) for share in shares]
    if any(after <= before for before, after in zip([0, *found], [*found, experiment.steps], strict=True)):
        given = f"rungs after {', '.join(map(str, found))} of {experiment.steps} steps"
        raise ConfigError(Problem("a run of too few steps for these rungs", ("search", "early_stopping"), given=given))
    return found


def spent_between(experiment: Experiment, begin: int, end: int) -> float:
    """Returns the expected FLOPs of the steps begin .. end - 1: of a branch, or of a run between two rungs."""
    costs = _Costs(experiment)
    return float(Fraction(costs.until(end) - costs.until(begin), STEPS))


class _Costs:
    """The expected FLOPs of the first n steps, in units of 1 / STEPS."""

    def __init__(self, experiment: Experiment) -> None:
        steps = experiment.steps
        stack = layers_at(layers_of(experiment.growth, experiment.model.layers, steps))
        self._first: list[int] = []  # the first step of each stretch of steps with equal cost
        self._each: list[int] = []  # the cost of one of its steps
        self._before: list[int] = []  # the cost of all steps before it
        begin = spent = 0
        for each, times in _stretches(experiment, stack):
            self._first.append(begin)
            self._each.append(each)
            self._before.append(spent)
            begin, spent = begin + times, spent + each * times
        self.total = spent

    def until(self, step: int) -> int:
        """Returns the cost of the first `step` steps."""
        at = max(0, int(np.searchsorted(self._first, step, side="left")) - 1)
        return self._before[at] + self._each[at] * (step - self._first[at])

    def step_at(self, share: Fraction) -> int:
        """Returns the least number of steps that cost at least `share` of the whole."""
        wanted = -(-self.total * share.numerator // share.denominator)
        low, high = 0, len(self._before)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._before[middle] < wanted else (low, middle)
        return self._first[low] + -(-(wanted - self._before[low]) // self._each[low])


def _flops(experiment: Experiment) -> FlopsAt:
    shapes = experiment.model, experiment.data, experiment.batch
    return run_flops(*shapes, experiment.steps, experiment.pretraining)


def _stretches(experiment: Experiment, stack: LayersAt) -> Iterator[tuple[int, int]]:
    """Yields (cost of one step, number of steps) of stretches of steps with equal cost, in order."""
    steps = experiment.steps
    of_steps = _flops(experiment)
    for first, last, flops in of_steps.ranges(steps):
        rows = _rows(experiment.schedule, steps, stack, first, last)
        if of_steps.second is None:
            for kept, times in rows:
                yield flops.block * kept + flops.fixed * STEPS, times
            continue
        second = _rows(of_steps.second.schedule, steps, layers_at(of_steps.second.layers), first, last)
        for kept, other, times in side_by_side(rows, second):
            yield flops.block * kept + sum(flops.second) * other + flops.fixed * STEPS, times


def _rows(schedule: Schedule, steps: int, stack: LayersAt, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yields (kept layers in grid steps, number of steps) for stretches with equal keep probabilities."""
    for kept, count in kept_at(schedule, steps, stack, first, last):
        yield from zip(kept.tolist(), count.tolist(), strict=True)
