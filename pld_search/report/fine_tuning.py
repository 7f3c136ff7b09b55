"""The variation of fine-tuning scores: over runs, repeats and rates; failed fine-tunings; the value of more of either.

The score of a fine-tuning is the mean of its task's metrics. With several learning rates, the rate with the best mean
over the row's fine-tunings counts. Components of variance: statistics/scores.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pld_search.records.events import TaskScored
from pld_search.report.comparison import SystemRow
from pld_search.report.fine_tuning_noise import score
from pld_search.statistics.scores import (
    Bootstrapped,
    Components,
    brown_forsythe,
    components,
    interquartile_mean_over_tasks,
)
from pld_search.statistics.spread import quantile

PRICE = 20.0
"""Assumed cost of a pre-training run in fine-tunings; the advice only says which of the two to add first."""


@dataclass(frozen=True, slots=True)
class TaskStability:
    """One task of one row. found: the variance between and within runs. failed: fine-tunings, of `fine_tunings`, that
    predict one class for all examples. rate: the rate that counts, None when there is only one. rates_p: Brown and
    Forsythe's P that all rates have the same spread.
    """

    task: str
    found: Components
    failed: int
    fine_tunings: int
    rate: float | None
    rates_p: float | None
    majority: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the row's mean from the variance of runs and fine-tunings together (Student's t with the
        runs' degrees of freedom); None with one run or with one fine-tuning per run.
        """
        runs = self.found.between_freedom + 1
        variance = self.found.variance_of_mean(runs, self.fine_tunings / runs)
        if variance is None or not self.found.between_freedom:
            return None
        half = quantile(self.found.between_freedom, 0.95) * math.sqrt(variance)
        return self.found.mean - half, self.found.mean + half

    @property
    def advice(self) -> str:
        """What narrows the row's mean most for its price: `runs`, `fine-tunings`, or empty when unknown."""
        wanted = self.found.best_fine_tunings(PRICE, 1.0)
        if wanted is None or self.fine_tunings == 0:
            return ""
        runs = max(1, self.found.between_freedom + 1)
        return "fine-tunings" if wanted > self.fine_tunings / runs else "runs"


@dataclass(frozen=True, slots=True)
class RowStability:
    """A row with every task, and the interquartile mean over tasks with its interval over fine-tunings."""

    label: str
    tasks: tuple[TaskStability, ...]
    interquartile: Bootstrapped


def stability(table: Sequence[SystemRow]) -> list[RowStability]:
    """Returns the stability of every row whose finished runs recorded their fine-tunings, in the order of the table."""
    found = []
    for row in table:
        runs = [run.fine_tunings for run in row.runs.values() if run.state == "finished" and run.fine_tunings]
        if not runs or row.system is None:
            continue
        names = dict.fromkeys((event.suite, event.task) for event in runs[0])
        chosen = {
            name: _of_task([[each for each in run if (each.suite, each.task) == name] for run in runs])
            for name in names
        }
        scores = {
            f"{suite}/{task}": [value for run in lists for value in run] for (suite, task), (_, lists) in chosen.items()
        }
        found.append(
            RowStability(row.label, tuple(task for task, _ in chosen.values()), interquartile_mean_over_tasks(scores))
        )
    return found


def _of_task(runs: Sequence[Sequence[TaskScored]]) -> tuple[TaskStability, list[list[float]]]:
    """Returns a task's stability and the scores that count, one list for each run."""
    events = [event for run in runs for event in run]
    by_rate: dict[float | None, list[float]] = {}
    for event in events:
        by_rate.setdefault(event.lr, []).append(score(event))
    rate = max(by_rate, key=lambda each: math.fsum(by_rate[each]) / len(by_rate[each]))
    lists = [[score(event) for event in run if event.lr == rate] for run in runs]
    lists = [scores for scores in lists if scores]
    counted = [event for event in events if event.lr == rate]
    first = events[0]
    return (
        TaskStability(
            task=f"{first.suite}/{first.task}",
            found=components(lists),
            failed=sum(event.constant is True for event in counted),
            fine_tunings=len(counted),
            rate=rate,
            rates_p=brown_forsythe(list(by_rate.values())) if len(by_rate) > 1 else None,
            majority=first.majority,
        ),
        lists,
    )


def rows_spread_alike(table: Sequence[SystemRow]) -> Mapping[str, float]:
    """Returns, by task, Brown and Forsythe's P that fine-tunings of all rows have the same spread; skips tasks with too
    few.
    """
    groups: dict[str, list[list[float]]] = {}
    for row in table:
        events = [event for run in row.runs.values() if run.state == "finished" for event in run.fine_tunings]
        for name in dict.fromkeys(f"{event.suite}/{event.task}" for event in events):
            groups.setdefault(name, []).append([score(each) for each in events if f"{each.suite}/{each.task}" == name])
    found = {name: brown_forsythe(scores) for name, scores in groups.items()}
    return {name: p for name, p in found.items() if p is not None}
