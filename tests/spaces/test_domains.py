"""Domains: reading, sampling, counting, covering."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pld_search.errors import ConfigError, Position
from pld_search.spaces.domains import Choice, Domain, Number, close, combinations, parameters, sample, size, variants
from pld_search.specs.yaml_io import Map, load, mark_at

NESTED = """\
lr: {log: [1e-4, 1e-2]}
schedule:
  choice:
    falling: {end: {float: [0.3, 0.9]}, rate: {log: [10 / run, 1000 / run]}}
    rising: {start: {float: [0.0, 1.0], step: 0.25}, kind: {choice: [linear, cosine]}}
layers: {int: [2, 10], step: 4}
"""
FINITE = (
    "a: {choice: {x: {n: {int: [1, 3]}}, y: {k: {choice: [1, 2]}, m: {choice: [true, false]}}, z: {}}}\nb: "
    "{float: [0, 1], step: 0.5}\n"
)


def read(text: str) -> Map:
    return load(text, "f")


def test_parameters_are_named_by_path_and_choice() -> None:
    assert parameters(read(NESTED)) == {
        "lr": Number(kind="log", low=1e-4, high=1e-2),
        "schedule": Choice(options=("falling", "rising")),
        "schedule.falling.end": Number(kind="float", low=0.3, high=0.9),
        "schedule.falling.rate": Number(kind="log", low=10, high=1000, unit="/ run"),
        "schedule.rising.start": Number(kind="float", low=0, high=1, step=0.25),
        "schedule.rising.kind": Choice(options=("linear", "cosine")),
        "layers": Number(kind="int", low=2, high=10, step=4),
    }


def test_only_the_chosen_branch_is_asked_for() -> None:
    asked: list[str] = []

    def suggest(name: str, domain: Any) -> Any:
        asked.append(name)
        return {
            "lr": 1e-3,
            "schedule": "falling",
            "schedule.falling.end": 0.5,
            "schedule.falling.rate": 12.5,
            "layers": 6,
        }[name]

    closed = sample(read(NESTED), suggest)
    assert closed == {"lr": 1e-3, "schedule": {"end": 0.5, "rate": "12.5 / run"}, "layers": 6}
    assert asked == ["lr", "schedule", "schedule.falling.end", "schedule.falling.rate", "layers"]


def test_marks_lead_to_the_option_or_bound() -> None:
    tree = read(NESTED)
    low, *_ = variants(tree)
    assert mark_at(low, ("lr",)) == Position("f", 1, 12)
    assert mark_at(low, ("schedule",)) == mark_at(tree, ("schedule", "choice", "falling"))
    assert mark_at(low, ("schedule", "end")) == mark_at(tree, ("schedule", "choice", "falling", "end", "float", 0))
    assert mark_at(
        close(
            tree,
            {"lr": 1e-3, "schedule": "falling", "schedule.falling.end": 0.5, "schedule.falling.rate": 20, "layers": 2},
        ),
        ("lr",),
    ) == Position("f", 1, 11)


def test_variants_show_every_branch_and_both_ends() -> None:
    seen = variants(read(NESTED))
    assert {tree["lr"] for tree in seen} == {1e-4, 1e-2}
    assert {tree["layers"] for tree in seen} == {2, 10}
    assert {(tree["schedule"]["end"], tree["schedule"]["rate"]) for tree in seen if "end" in tree["schedule"]} == {
        (0.3, "10 / run"),
        (0.9, "1000 / run"),
    }
    assert {tree["schedule"]["kind"] for tree in seen if "kind" in tree["schedule"]} == {"linear", "cosine"}
    assert variants(read("a: 1\n")) == [{"a": 1}]


def test_sizes_and_combinations() -> None:
    tree = read(FINITE)
    found = list(combinations(tree))
    assert size(tree) == len(found) == (3 + 2 * 2 + 1) * 3
    assert len({json.dumps(close(tree, params), sort_keys=True) for params in found}) == len(found)
    assert size(read(NESTED)) is None
    assert size(read("a: 1\n")) == 1
    assert list(combinations(read("a: 1\n"))) == [{}]
    with pytest.raises(ValueError, match="lr has infinitely many values"):
        list(combinations(read(NESTED)))


def test_grids() -> None:
    assert Number(kind="float", low=0, high=0.3, step=0.1).values() == (0.0, 0.1, 0.2, 0.3)
    assert Number(kind="int", low=1, high=3).values() == (1, 2, 3)
    assert Number(kind="float", low=0.5, high=0.5).values() == (0.5,)
    assert Number(kind="log", low=1, high=2).values() is None


@pytest.mark.parametrize("value", [1e-5, "x", True, None])
def test_a_suggestion_outside_its_domain(value: Any) -> None:
    with pytest.raises(ValueError, match="lies outside its domain"):
        sample(read("lr: {log: [1e-4, 1e-2]}\n"), lambda *_: value)


def test_domains_inside_lists() -> None:
    tree = read("a: [1, {choice: [2, 3]}]\n")
    assert list(parameters(tree)) == ["a[1]"]
    assert close(tree, {"a[1]": 3}) == {"a": [1, 3]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{choice: {a: 1}}", "a named choice holds a whole mapping"),
        ("{choice: {a b: {}}}", "the name of a choice"),
        ("{choice: [1, 1]}", "the same choice twice"),
        ("{choice: 3}", "a choice holds a list of values"),
        ("{choice: [~]}", "a list of choices holds single values"),
        ("{float: [1, x]}", "needs a number"),
        ('{float: [1, "2"]}', "needs a number"),
        ("{float: [10 %, 20 / run]}", "the same unit"),
        ("{float: [0, 1], steps: 0.1}", "did you mean step"),
        ("{log: [1, 2], step: 1}", "a log domain has no such key"),
        ("{int: [1, 2.5]}", "whole numbers"),
        ("{int: [1, 9], step: 0}", "a step is above 0"),
        ("{float: [0, 1], step: 1e-9}", "a whole number of steps"),
        ("{float: [true, 1]}", "needs a number"),
    ],
)
def test_bad_domains(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parameters(read(f"x: {text}\n"))
    assert caught.value.problems[0].mark is not None


scalars = st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b"])
domains = st.builds(Choice, options=st.lists(scalars, min_size=1, max_size=3).map(tuple)) | st.builds(
    lambda kind, low, more: Number(kind=kind, low=low, high=low + more),
    st.sampled_from(["float", "log", "int"]),
    st.integers(1, 9),
    st.integers(0, 9),
)


@settings(deadline=None)
@given(domains)
def test_domains_are_values_with_a_json_round_trip(domain: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Domain)
    again = adapter.validate_json(domain.model_dump_json())
    assert again == domain
    assert [type(value) for value in getattr(again, "options", ())] == [
        type(value) for value in getattr(domain, "options", ())
    ]


@settings(deadline=None)
@given(st.data())
def test_whatever_is_sampled_is_closed(data: st.DataObject) -> None:
    def suggest(name: str, domain: Any) -> Any:
        if isinstance(domain, Choice):
            return data.draw(st.sampled_from(domain.options))
        return data.draw(
            st.integers(int(domain.low), int(domain.high))
            if domain.kind == "int"
            else st.floats(domain.low, domain.high)
        )

    assert not parameters(sample(read(NESTED), suggest))
