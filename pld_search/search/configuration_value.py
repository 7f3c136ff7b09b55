"""What a configuration is worth: the value at T, mean over seeds, and by how much each constraint is violated.

A diverged run is a result, not a failure: it counts with the loss of a uniform guess (ln V, V the unpadded vocabulary)
or the metric's worst value, always finite, and violates a constraint of its own. Optuna would drop a NaN, and learn
nothing from a FAIL: it would sample the same region again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pld_search.costs.objectives import costs_of
from pld_search.errors import StudyError
from pld_search.records.run_record import RunRecord
from pld_search.spaces.constraints import Constraint
from pld_search.spaces.objectives import Objective
from pld_search.specs.metrics import metric

DIVERGED = "divergence/diverged"


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """What Optuna and the records are told of a configuration."""

    values: tuple[float, ...]
    constraints: dict[str, float]


def value_of(goal: Objective, run: RunRecord, vocabulary: int) -> float:
    """The goal's value of one ended run; of a diverged one the worst of the metric (ln V for a loss). Raises StudyError
    when a finished run did not measure it.
    """
    if run.state == "diverged":
        chance = costs_of(run.pretraining).uniform_guess(vocabulary)
        return metric(goal.metric).worst_value(goal.direction, vocabulary, chance)
    if goal.metric not in run.final:
        raise StudyError(f"the run measured no {goal.metric}")
    return run.final[goal.metric]


def verdict(
    goals: Iterable[Objective], limits: Iterable[Constraint], runs: Sequence[RunRecord], vocabulary: int
) -> ConfigurationValue:
    """Means over the seeds' runs; the divergence constraint is always there (0 or the share of diverged seeds)."""
    values = tuple(mean([value_of(goal, run, vocabulary) for run in runs]) for goal in goals)
    diverged = mean([float(run.state == "diverged") for run in runs])
    constraints = {DIVERGED: diverged}
    for limit in limits:
        constraints[limit.key] = _violation(limit, runs, diverged)
    return ConfigurationValue(values, constraints)


def _violation(limit: Constraint, runs: Sequence[RunRecord], diverged: float) -> float:
    if limit.name == DIVERGED:
        return limit.violation(diverged)
    if diverged:
        return 1.0  # the metric at T does not exist
    missing = next((run for run in runs if limit.name not in run.final), None)
    if missing is not None:
        raise StudyError(f"the run measured no {limit.name}")
    return limit.violation(mean([run.final[limit.name] for run in runs]))


def mean(numbers: Sequence[float]) -> float:
    """The mean, its sum exact."""
    return math.fsum(numbers) / len(numbers)
