"""Computes the variance of score differences that comes from fine-tuning, from the recorded repeats by task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from pld_search.records.events import TaskScored
from pld_search.records.run_record import RunRecord
from pld_search.specs.metrics import is_downstream
from pld_search.statistics.blocked import Variance, satterthwaite
from pld_search.statistics.scores import components

AVERAGE = "average"


def score(event: TaskScored) -> float:
    """Returns the mean of the task's metrics; it chooses the task's best rate."""
    return math.fsum(event.scores.values()) / len(event.scores)


def fine_tuning_noise(rows: Mapping[str, Mapping[int, RunRecord]], reference: str, name: str) -> dict[str, Variance]:
    """Returns, by row, the variance of its difference to the reference in metric `name` that comes from fine-tuning.

    `rows` are finished runs by seed. A row is left out if its runs or the reference's runs have only one fine-tuning of
    a task, or if all their scores are equal. The result is empty for a metric that is no score of fine-tuning.
    """
    if not is_downstream(name) or reference not in rows:
        return {}
    own = {row: found for row, runs in rows.items() if (found := _of_row(runs, name)) is not None}
    if reference not in own:
        return {}
    noise = {row: satterthwaite(found, own[reference]) for row, found in own.items() if row != reference}
    return {row: variance for row, variance in noise.items() if variance.value > 0}


def _of_row(runs: Mapping[int, RunRecord], name: str) -> Variance | None:
    """Returns the variance of a row's mean that comes from fine-tuning; None if a task has no repeats."""
    suite, _, rest = name.partition("/")
    tasks = {event.task for run in runs.values() for event in run.fine_tunings if event.suite == suite}
    wanted = tasks if rest == AVERAGE else {rest.partition("/")[0]} & tasks
    metric = None if rest == AVERAGE else rest.partition("/")[2]
    parts = []
    for task in sorted(wanted):
        lists = [_counted(run, suite, task, metric) for run in runs.values()]
        lists = [scores for scores in lists if scores]
        within = components(lists)
        if within.within is None:
            return None
        value = within.within * math.fsum(1 / len(scores) for scores in lists) / len(lists) ** 2
        parts.append(Variance(value / len(wanted) ** 2, within.within_freedom))
    return satterthwaite(*parts) if parts else None


def _counted(run: RunRecord, suite: str, task: str, metric: str | None) -> list[float]:
    """Returns the scores of a run's repeats at its best rate, for one metric or for the mean of all metrics."""
    events = [event for event in run.fine_tunings if (event.suite, event.task) == (suite, task)]
    by_rate: dict[float | None, list[TaskScored]] = {}
    for event in events:
        by_rate.setdefault(event.lr, []).append(event)
    best = max(by_rate.values(), key=lambda each: fmean(map(score, each)), default=[])
    return [score(event) if metric is None else event.scores[metric] for event in best]
