"""Scores of fine-tunings: components, the rate that counts, failures and advice, against statistics/scores.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.events import TaskScored
from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import view
from pld_search.report.comparison import SystemRow, comparison
from pld_search.report.fine_tuning import rows_spread_alike, stability
from pld_search.statistics.scores import brown_forsythe, components, interquartile_mean_over_tasks
from tests.report.studies import FULL, Folder, experiment

RUNS = ((0.70, 0.72, 0.71), (0.75, 0.77, 0.79))
LOW = ((0.5, 0.5, 0.6), (0.5, 0.7, 0.4))


def events(high: tuple[float, ...], low: tuple[float, ...]) -> list[TaskScored]:
    """Two rates, three repeats each; accuracy and f1 around the score. At the lower rate some predict one class."""
    return [
        TaskScored(
            9,
            suite="task",
            task="cp",
            seed=repeat,
            scores={"accuracy": score + 0.01, "f1": score - 0.01},
            lr=rate,
            constant=rate < 1e-4 and score == 0.5,
            majority=0.5,
        )
        for rate, scores in ((3e-5, low), (3e-4, high))
        for repeat, score in enumerate(scores)
    ]


@pytest.fixture
def table(tmp_path: Path) -> list[SystemRow]:
    folder = Folder(tmp_path / "s", systems=["full"], reference="full")
    what = experiment(FULL)
    trial = folder.ask(what, "full", seeds=(0, 1))
    for seed in range(2):
        folder.run(trial, what, 5.0, seed)
    rows = comparison(view(folder.complete()))
    for seed, (high, low) in enumerate(zip(RUNS, LOW, strict=True)):
        rows[0].runs[seed] = RunRecord(state="finished", fine_tunings=events(high, low))
    return rows


def test_variances_failures_and_the_rate_that_counts(table: list[SystemRow]) -> None:
    (row,) = stability(table)
    (task,) = row.tasks
    wanted = components(RUNS)
    assert (task.task, task.rate, task.failed, task.fine_tunings, task.majority) == ("task/cp", 3e-4, 0, 6, 0.5)
    assert task.found.mean == pytest.approx(wanted.mean)
    assert task.found.between == pytest.approx(wanted.between)
    assert task.found.within == pytest.approx(wanted.within)
    groups = [[score for run in rates for score in run] for rates in (LOW, RUNS)]
    assert task.rates_p == pytest.approx(brown_forsythe(groups))
    assert row.interquartile.value == pytest.approx(interquartile_mean_over_tasks({"task/cp": groups[1]}).value)
    assert task.advice == "runs"  # runs differ by more than repeats do
    assert rows_spread_alike(table) == {}


def test_failed_fine_tunings_are_counted_at_the_rate_that_counts(table: list[SystemRow]) -> None:
    for run in table[0].runs.values():
        run.fine_tunings[:] = [event for event in run.fine_tunings if event.lr == 3e-5]
    ((task,),) = [row.tasks for row in stability(table)]
    assert (task.failed, task.fine_tunings) == (3, 6)
    table[0].runs.clear()
    assert stability(table) == []
