"""The value of a configuration, mean over seeds: the objectives at step T and the violation of each constraint, and the
objectives at a rung.

A diverged run is a result and no failure. It counts with the loss of a uniform guess (ln V, V the unpadded vocabulary)
or with the metric's worst value, which is always finite, and it violates a constraint of its own. Optuna would drop a
NaN and would learn nothing from a FAIL: it would sample the same region again.

At a rung the loss is the loss at the pause; where branches are ranked, it is the loss of the branch, whose learning
rate has decayed. Savings and costs of a run are known before it starts: at a rung, the forecast of the whole run is
used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pld_search.costs.objectives import costs_of
from pld_search.errors import StudyError
from pld_search.records.run_record import RunRecord, branch_folder, fold_run
from pld_search.records.study_record import run_folder
from pld_search.records.trial_record import TrialRecord
from pld_search.spaces.constraints import Constraint
from pld_search.spaces.objectives import Objective
from pld_search.specs.metrics import metric

DIVERGED = "divergence/diverged"


@dataclass(frozen=True, slots=True)
class ConfigurationValue:
    """The values and constraints of a configuration, as told to Optuna and written to the records."""

    values: tuple[float, ...]
    constraints: dict[str, float]


def value_of(goal: Objective, run: RunRecord, vocabulary: int) -> float:
    """Returns the goal's value of one ended run; for a diverged run the worst value of the metric (ln V for a loss).
    Raises StudyError when a finished run did not measure the metric.
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
    """Returns means over the seeds' runs. The divergence constraint is always present: the share of diverged seeds."""
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
    """The arithmetic mean, from an exact sum."""
    return math.fsum(numbers) / len(numbers)


def values_at(study: Path, trial: TrialRecord, goals: Iterable[Objective], branch: int | None) -> list[float]:
    """Returns the trial's values now, one a goal. `branch`: the step whose branches are ranked, None for the runs."""
    runs = [_seen(study, trial, index, branch) for index in trial.seeds]
    return [_value(goal, trial, runs) for goal in goals]


def _seen(study: Path, trial: TrialRecord, index: int, branch: int | None) -> RunRecord:
    """Returns the run of a seed if it has ended (it diverged, or equals another run), else its branch or paused run."""
    folder = run_folder(study, trial, index)
    return fold_run(folder if branch is None or trial.done(index) else branch_folder(folder, branch))


def _value(goal: Objective, trial: TrialRecord, runs: list[RunRecord]) -> float:
    known = metric(goal.metric).forecast
    if known is not None:
        name, scale = known
        return float(trial.asked.forecast[name]) * scale
    return mean([value_of(goal, run, trial.vocabulary) for run in runs])
