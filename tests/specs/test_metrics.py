"""The registry of metrics: what its four readers ask of it."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from pld_search.costs.run_cost import Forecast
from pld_search.data.task_metrics import METRICS as TASK_METRICS
from pld_search.specs.metrics import GROUPS, METRICS, find, metric, unit_text


def test_names_are_unique_and_every_forecast_is_a_row() -> None:
    names = [row.name for row in METRICS]
    assert len(set(names)) == len(names)
    for row in METRICS:
        if row.forecast is not None:
            assert metric(row.forecast[0]).before_training
            assert row.at_a_rung


def test_the_numbers_of_a_forecast_are_rows_in_their_order() -> None:
    numbers = [f"forecast/{field.name}" for field in fields(Forecast) if field.type in ("int", "float")]
    assert len(numbers) > 10
    assert [row.name for row in METRICS if row.before_training][: len(numbers)] == numbers


@pytest.mark.parametrize(
    ("name", "row", "worst"),
    [
        ("glue/average", "<suite>/average", 0.0),
        ("glue/rte/accuracy", "<suite>/<task>/<metric>", 0.0),
        ("task/my-own/f1", "<suite>/<task>/<metric>", 0.0),
        ("demo/a/mcc", "<suite>/<task>/mcc", -1.0),
        ("valid/loss", "valid/loss", math.log(100)),
        ("drop/theta", "drop/theta", -1e9),
    ],
)
def test_a_name_finds_its_row(name: str, row: str, worst: float) -> None:
    assert metric(name).name == row
    assert metric(name).worst_value("maximize", 100) == worst


@pytest.mark.parametrize(
    "name", ["loss", "glue", "glue/rte", "glue/a/b/c", "other/rte/f1", "valid/los", "glue/r te/f1"]
)
def test_other_names_find_none(name: str) -> None:
    assert find(name) is None
    with pytest.raises(KeyError):
        metric(name)


def test_scores_of_tasks_fall_to_the_end_of_their_range() -> None:
    for name in TASK_METRICS:
        assert metric(f"task/x/{name}").worst == (-1.0 if name in ("mcc", "pearson", "spearman") else 0.0)


def test_units_in_words() -> None:
    assert [unit_text(name) for name in ("valid/loss", "progress/tflop", "saved/flops", "unknown")] == [
        "nats",
        "TFLOP",
        "",
        "",
    ]
    assert {
        "analysis",
        "train",
        "valid",
        "test",
        "speed",
        "saved",
        "drop",
        "divergence",
        "progress",
        "glue",
        "demo",
        "task",
    } == set(GROUPS)
