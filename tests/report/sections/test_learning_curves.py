from __future__ import annotations

import statistics

import pytest

from pld_search.records.run_record import RunRecord
from pld_search.report.page_facts import PageFacts
from pld_search.report.sections.learning_curves import curve_of, spent


def test_spent_tflop_between_recorded_points() -> None:
    run = RunRecord(series={"progress/tflop": [(100, 2.0), (200, 4.0)]})
    assert spent(run, [50, 100, 150]) == [1.0, 2.0, 3.0]
    assert spent(RunRecord(), [1]) is None


def test_a_curve_is_the_mean_of_its_seeds_with_their_deviation(small: PageFacts) -> None:
    full = next(row for row in small.table if row.label == "full")
    curve = curve_of(full)
    assert curve is not None
    ends = [run.series["valid/loss"][-1][1] for run in full.runs.values()]
    assert len(ends) == 2
    assert curve.loss[-1] == pytest.approx(statistics.mean(ends))
    assert curve.deviation[-1] == pytest.approx(statistics.stdev(ends))
    assert len(curve.loss) == len(curve.spent) == 10


def test_a_curve_ends_where_a_run_diverged(large: PageFacts) -> None:
    row = next(row for row in large.systems if row.diverged)
    curve, whole = curve_of(row), curve_of(large.systems[0])
    assert curve is not None and whole is not None
    assert curve.lost and not whole.lost
    assert len(curve.loss) == 5  # of ten validations
    assert curve.spent[-1] < 0.6 * whole.spent[-1]
