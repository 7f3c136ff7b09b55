"""Changes to a tree: dotted keys, merges and --set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.errors import ConfigError, Position
from pld_search.specs.tree_changes import apply_sets, expand, merge
from pld_search.specs.yaml_io import Map, load, mark_at


def read(text: str) -> Map:
    return load(text, "f")


def test_dotted_and_nested_are_the_same() -> None:
    assert expand(read("a.b.c: 1\na: {d: 2}\na.b.e: 3\n")) == {"a": {"b": {"c": 1, "e": 3}, "d": 2}}


@pytest.mark.parametrize(
    "text", ["a.b: 1\na: {b: 2}\n", "a.b: 1\na: 2\n", "a: {b.c: 1, b: {c: 1}}\n", "a: 1\na.b: 2\n"]
)
def test_the_same_path_twice(text: str) -> None:
    with pytest.raises(ConfigError, match="the same path is written twice"):
        expand(read(text))


def test_an_empty_part_of_a_dotted_key() -> None:
    with pytest.raises(ConfigError, match=r"f:1:1: a\.: a dotted key has a word"):
        expand(read("a.: 1\n"))


def test_names_of_choices_are_names() -> None:
    assert expand(read("a: {choice: {x.y: {b.c: 1}}}\n")) == {"a": {"choice": {"x.y": {"b": {"c": 1}}}}}


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {b: 3}}", {"a": {"b": 3, "c": 2}}),
        ("{a: {b: 1}}", "{a: 3}", {"a": 3}),
        ("{a: 3}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        (
            "{t: {kind: linear, start: 1, end: 0}}",
            "{t: {kind: constant, value: 1}}",
            {"t": {"kind": "constant", "value": 1}},
        ),
        (
            "{t: {kind: linear, start: 1, end: 0}}",
            "{t: {kind: linear, end: 1}}",
            {"t": {"kind": "linear", "start": 1, "end": 1}},
        ),
        ("{s: {base: pld, run: 3}}", "{s: {base: random}}", {"s": {"base": "random"}}),
        ("{d: {hub: a/b, split: x}}", "{d: {text: [y]}}", {"d": {"text": ["y"]}}),
        ("{d: {hub: a/b, split: x}}", "{d: {split: y}}", {"d": {"hub": "a/b", "split": "y"}}),
        ("{lr: {float: [0, 1], step: 0.5}}", "{lr: {float: [0, 2]}}", {"lr": {"float": [0, 2]}}),
        ("{s: {choice: {a: {}, b: {}}}}", "{s: {temporal: {}}}", {"s": {"temporal": {}}}),
        ("{budget: {steps: 3, equal: flops}}", "{budget: {tokens: 9}}", {"budget": {"equal": "flops", "tokens": 9}}),
        ("{budget: {steps: 3, equal: flops}}", "{budget: {steps: 9}}", {"budget": {"steps": 9, "equal": "flops"}}),
        (
            "{schedule: pld}",
            "{schedule: {temporal: {end: 0.7}}}",
            {"schedule": {"base": "pld", "temporal": {"end": 0.7}}},
        ),
    ],
)
def test_merges(base: str, over: str, result: object) -> None:
    before, change = read(base), read(over)
    assert merge(before, change) == result
    assert (before, change) == (read(base), read(over))  # neither is changed


def test_marks_stay_with_what_they_mark() -> None:
    merged = merge(load("a: {b: 1, c: 2}\n", "base"), load("\n\na: {b: 3}\n", "over"))
    assert mark_at(merged, ("a", "b")) == Position("over", 3, 8)
    assert mark_at(merged, ("a", "c")) == Position("base", 1, 14)
    assert mark_at(merged, ("a",)) == Position("base", 1, 4)


def test_a_saving_is_one_value() -> None:
    merged = merge(load("a: {saving: like pld}\n", "base"), load("a: {saving: like ./x.yaml}\n", "over"))
    assert mark_at(merged, ("a",)) == Position("over", 1, 4)  # whose folder `./x.yaml` starts at


def test_sets_are_typed_as_in_yaml() -> None:
    tree = apply_sets(read("a: {b: 1}\n"), ["a.b=1e-3", "c=[1, x]", "d.e=true", "f=a=b", "g="])
    assert tree == {"a": {"b": 1e-3}, "c": [1, "x"], "d": {"e": True}, "f": "a=b", "g": None}
    assert mark_at(tree, ("a", "b")) == Position("--set", 1, 5)


def test_every_bad_set_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        apply_sets(read("a: 1\n"), ["a=no", "b", "c.d=1", "c.d=2", "e..f=1"])
    assert [str(problem).split(";")[0] for problem in caught.value.problems] == [
        "--set:1:3: an unquoted yes, no, on or off is a truth value to some readers and a word to others",
        "--set:2:1: --set needs a.b=value",
        "--set:4:1: c.d: the same path is written twice",
        "--set:5:1: --set needs a.b=value",
    ]


plain_trees = st.recursive(
    st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


@settings(deadline=None)
@given(plain_trees, plain_trees)
def test_merging_twice_is_merging_once(base: Any, over: Any) -> None:
    once = merge(base, over)
    assert merge(once, over) == once
    assert merge(base, Map()) == base
    assert merge({}, over) == over
