"""Constraints and the names of metrics."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from pydantic import TypeAdapter

from pld_search.costs.run_cost import Forecast
from pld_search.spaces import metric_names
from pld_search.spaces.constraints import ConstraintText, parse
from pld_search.specs.experiment import Task
from pld_search.specs.prepared_data import Prepared, PreparedCorpus, PreparedTask

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "name", "operator", "bound"),
    [
        ("divergence/diverged == 0", "divergence/diverged", "==", 0),
        ("saved/flops>=10%", "saved/flops", ">=", 0.1),
        ("saved/flops >= 0.1", "saved/flops", ">=", 0.1),
        ("forecast/total_flops < 1e15", "forecast/total_flops", "<", 1e15),
        ("progress/seconds <= 2 h", "progress/seconds", "<=", 7200),
        ("glue/rte/accuracy > 0.5", "glue/rte/accuracy", ">", 0.5),
    ],
)
def test_what_a_text_states(text: str, name: str, operator: str, bound: float) -> None:
    constraint = parse(text)
    assert (constraint.name, constraint.operator, constraint.bound) == (name, operator, bound)
    assert constraint.before_training == name.startswith("forecast/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("valid/loss", "a constraint is NAME"),
        ("valid/loss = 3", "a constraint is NAME"),
        ("valid/loss != 3", "a constraint is NAME"),
        ("1 < valid/loss < 3", "a constraint is NAME"),
        ("valid/loss < three", "needs a number"),
        ("valid/loss < 3 %", "valid/loss is not measured in '%'"),
        ("saved/flops < 3 h", "saved/flops is not measured in 'h'"),
        ("test/loss < 3", "never sees the test split"),
        ("loss < 3", "no metric of this name"),
    ],
)
def test_bad_texts(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value", "violated"),
    [
        ("valid/loss <= 3", 3.0, False),
        ("valid/loss < 3", 3.0, True),
        ("valid/loss < 3", 2.9, False),
        ("valid/loss >= 3", 3.0, False),
        ("valid/loss >= 3", 2.9, True),
        ("valid/loss > 3", 3.0, True),
        ("valid/loss == 3", 3.0, False),
        ("valid/loss == 3", 3.1, True),
        ("valid/loss <= 3", math.nan, True),
    ],
)
def test_violations_have_the_sign_that_optuna_wants(text: str, value: float, violated: bool) -> None:
    assert (parse(text).violation(value) > 0) == violated


def test_a_larger_distance_is_a_larger_violation() -> None:
    constraint = parse("saved/flops >= 10 %")
    assert constraint.violation(0.0) > constraint.violation(0.05) > 0 > constraint.violation(0.2)


def test_the_canonical_text_is_a_fixed_point() -> None:
    adapter: TypeAdapter[str] = TypeAdapter(ConstraintText)
    assert adapter.validate_python("  saved/flops>=10 % ") == "saved/flops >= 10 %"
    assert adapter.validate_python("saved/flops >= 10 %") == "saved/flops >= 10 %"


def test_names_that_are_known_and_not() -> None:
    for name in (*metric_names.TRAINED, *metric_names.FORECAST, "glue/average", "task/mine/f1"):
        assert metric_names.known(name) == name
    for name, meant in (
        ("loss", "valid/loss"),
        ("valid/los", "valid/loss"),
        ("test/loss", "valid/loss"),
        ("saved/flop", "saved/flops"),
    ):
        with pytest.raises(metric_names.Refusal) as caught:
            metric_names.known(name)
        assert caught.value.suggestion == meant


def test_forecast_names_are_the_numbers_of_a_forecast() -> None:
    names = {field.name for field in fields(Forecast)}
    assert {name.removeprefix("forecast/") for name in metric_names.FORECAST} < names
    assert "forecast/total_flops" in metric_names.FORECAST
    assert "forecast/keep_probabilities_end" not in metric_names.FORECAST


def test_tasks_are_known_once_prepared() -> None:
    task = Task(suite="glue", name="rte", digest=DIGEST, kind="classification", labels=2, metrics=("accuracy",))
    corpus = PreparedCorpus(corpus=DIGEST, tokenizer=DIGEST, folder="", vocabulary=100, statistics={})
    prepared = Prepared(corpus=corpus, tasks=(PreparedTask(task=task, folder=""),))
    names = ["valid/loss", "glue/average", "glue/rte/accuracy", "glue/rte/f1", "demo/average"]
    found = ["glue/average", "glue/rte/accuracy"]
    assert metric_names.unknown_tasks(names, prepared) == [("glue/rte/f1", found), ("demo/average", found)]
