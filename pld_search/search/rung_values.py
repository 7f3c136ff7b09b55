"""The values of a trial at a rung: the mean over its seeds' runs, one value an objective.

The loss is the loss at the pause; where branches are ranked, it is the loss of the branch, whose learning rate has
decayed. Savings and costs of a run are known before it starts: at a rung, the forecast of the whole run is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pld_search.records.run_record import RunRecord, branch_folder, fold_run
from pld_search.records.study_record import run_folder
from pld_search.records.trial_record import TrialRecord
from pld_search.search.configuration_value import mean, value_of
from pld_search.spaces.objectives import Objective
from pld_search.specs.metrics import metric


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
