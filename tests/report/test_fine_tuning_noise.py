"""What fine-tuning within runs adds to a difference: counted by hand, and in the interval of a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pld_search.records.events import TaskScored
from pld_search.records.run_record import RunRecord
from pld_search.records.study_record import view
from pld_search.report.comparison import comparison
from pld_search.report.fine_tuning_noise import fine_tuning_noise
from pld_search.statistics.blocked import Variance
from pld_search.statistics.compare import compare
from pld_search.statistics.spread import quantile
from tests.report.studies import FULL, PLD, Folder, experiment


def run(scores: dict[str, list[float]], rate: float | None = None) -> RunRecord:
    """A finished run with a fine-tuning a score, by task."""
    events = [
        TaskScored(9, suite="task", task=task, seed=repeat, scores={"accuracy": score}, lr=rate)
        for task, found in scores.items()
        for repeat, score in enumerate(found)
    ]
    return RunRecord(state="finished", fine_tunings=events)


ROWS = {
    "full": {0: run({"a": [0.70, 0.72], "b": [0.5, 0.6]}), 1: run({"a": [0.71, 0.75], "b": [0.5, 0.5]})},
    "pld": {0: run({"a": [0.80, 0.80], "b": [0.4, 0.6]}), 1: run({"a": [0.81, 0.85], "b": [0.5, 0.7]})},
}


def test_the_variance_of_a_difference_by_hand() -> None:
    """Within runs, task a: full (0.0002 + 0.0008) / 2 = 0.0005, pld (0 + 0.0008) / 2 = 0.0004, 2 degrees of freedom
    each; a row's mean is over two runs of two fine-tunings, so a quarter of each.
    """
    found = fine_tuning_noise(ROWS, "full", "task/a/accuracy")["pld"]
    assert found.value == pytest.approx(0.0005 / 4 + 0.0004 / 4)
    assert found.freedom == pytest.approx((0.0005 + 0.0004) ** 2 / (0.0005**2 / 2 + 0.0004**2 / 2))


def test_the_average_halves_the_part_of_each_of_two_tasks() -> None:
    of_task = [fine_tuning_noise(ROWS, "full", f"task/{name}/accuracy")["pld"].value for name in ("a", "b")]
    assert fine_tuning_noise(ROWS, "full", "task/average")["pld"].value == pytest.approx(sum(of_task) / 4)


def test_the_rate_that_counts_is_the_runs_best() -> None:
    worse = run({"a": [0.1, 0.9]}, 1e-5).fine_tunings
    several = {0: RunRecord(state="finished", fine_tunings=[*worse, *run({"a": [0.70, 0.72]}, 1e-4).fine_tunings])}
    rows = {"full": several, "pld": several}
    assert fine_tuning_noise(rows, "full", "task/a/accuracy")["pld"].value == pytest.approx(2 * 0.0002 / 2)


@pytest.mark.parametrize("name", ["valid/loss", "task/c/accuracy", "glue/average"])
def test_other_metrics_have_none(name: str) -> None:
    assert fine_tuning_noise(ROWS, "full", name) == {}


def test_one_fine_tuning_says_nothing_and_neither_do_equal_ones() -> None:
    single, equal = {0: run({"a": [0.7]}), 1: run({"a": [0.8]})}, {0: run({"a": [0.7, 0.7]})}
    assert fine_tuning_noise({**ROWS, "pld": single}, "full", "task/a/accuracy") == {}
    assert fine_tuning_noise({"full": equal, "pld": equal}, "full", "task/a/accuracy") == {}
    assert fine_tuning_noise(ROWS, "gone", "task/a/accuracy") == {}


def test_runs_that_agree_by_luck_do_not_hide_the_noise_of_fine_tuning() -> None:
    values = {"full": {0: 0.700, 1: 0.710, 2: 0.705}, "pld": {0: 0.7201, 1: 0.7300, 2: 0.7251}}
    alone, both = (compare(values, "full", fine_tuning=part)["pld"] for part in (None, {"pld": Variance(1e-4, 24)}))
    assert alone.half_width is not None and both.half_width is not None
    assert alone.half_width < 0.001
    assert both.half_width == pytest.approx(2.064 * 0.01, rel=1e-3)  # Student's t, 24 degrees of freedom
    assert (str(alone.verdict), str(both.verdict)) == ("worse", "undecided")
    small = compare(values, "full", fine_tuning={"pld": Variance(1e-12, 24)})["pld"]
    assert small.half_width == alone.half_width
    one_seed = {row: {0: runs[0]} for row, runs in values.items()}
    assert compare(one_seed, "full", fine_tuning={"pld": Variance(1e-4, 24)})["pld"].interval is None


def test_intervals_with_both_parts_cover_the_truth() -> None:
    """Three runs of five fine-tunings, no difference: 95 % at least, whatever the part between runs."""
    generator, studies = np.random.default_rng(7), 1000
    for between in (0.0, 0.5, 2.0):
        covered = 0
        for _ in range(studies):
            scores = generator.normal(0, between, (2, 3, 1)) + generator.normal(0, 1, (2, 3, 5))
            within = scores.var(axis=2, ddof=1).mean()
            means = {str(row): dict(enumerate(scores[row].mean(-1))) for row in range(2)}
            found = compare(means, "0", fine_tuning={"1": Variance(2 * within / 15, 24)})["1"]
            assert found.interval is not None
            covered += found.interval[0] <= 0 <= found.interval[1]
        assert covered / studies > 0.95 - 2.5 * (0.05 * 0.95 / studies) ** 0.5, between


def test_a_reports_interval_of_a_score_uses_both(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "s", systems=["full", "pld"], reference="full")
    generator, scores = np.random.default_rng(3), {}
    for name, schedule in (("full", FULL), ("pld", PLD)):
        what = experiment(schedule)
        trial = folder.ask(what, name, seeds=(0, 1, 2))
        for seed in range(3):
            drawn = generator.normal(0, 0.05, 5)
            found = list(0.7 + 0.001 * seed + drawn - drawn.mean())  # runs agree, fine-tunings do not
            scores[name, seed] = found
            tasks = run({"a": found}).fine_tunings
            luck = 1e-4 * seed**2 if name == "pld" else 0.0
            folder.run(trial, what, 5.0, seed, tasks=tasks, task__a__accuracy=float(np.mean(found)) + luck)
    pld = next(row for row in comparison(view(folder.complete())) if row.label == "pld")
    within = np.mean([np.var(each, ddof=1) for each in scores.values()])
    interval = pld.differences["task/a/accuracy"].interval
    assert interval is not None
    rows = {name: {seed: run({"a": scores[name, seed]}) for seed in range(3)} for name in ("full", "pld")}
    freedom = fine_tuning_noise(rows, "full", "task/a/accuracy")["pld"].freedom
    assert (interval[1] - interval[0]) / 2 == pytest.approx(quantile(freedom) * (2 * within / 15) ** 0.5, rel=0.01)
