"""YAML trees: what is read, what is refused and where, and that what is written reads back equal."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.errors import ConfigError, Position
from pld_search.specs import yaml_io
from pld_search.specs.yaml_io import Map, Seq, dump, load, load_file, load_value, mark_at, plain

SHIPPED = sorted(path for room in ("schedules", "spaces") for path in (Path(__file__).parents[2] / room).glob("*.yaml"))

READ = [
    ("1e-4", 1e-4),
    ("1E5", 1e5),
    ("-.5", -0.5),
    ("2.", 2.0),
    ("0", 0),
    ("-7", -7),
    ("20_000", 20_000),
    ("true", True),
    ("FALSE", False),
    ("~", None),
    ("", None),
    ("yes please", "yes please"),
    ('"no"', "no"),
    ("'24:00:00'", "24:00:00"),
    ("100 / run", "100 / run"),
    ("15 %", "15 %"),
    ("e5", "e5"),
    ("y", "y"),
    ("1.2.3", "1.2.3"),
    ("{a: [1, 2]}", {"a": [1, 2]}),
]
TRAPS = [
    "yes",
    "No",
    "on",
    "OFF",
    "12:30",
    "24:00:00",
    "2024-05-01",
    "2024-05-01 10:00:00",
    "0777",
    "0x1F",
    "0o17",
    "0b1",
    ".inf",
    "-.INF",
    "nan",
    "1e999",
    "9" * 50,
]


@pytest.mark.parametrize(("text", "value"), READ)
def test_scalars(text: str, value: object) -> None:
    found = load_value(text, "f")
    assert found == value
    assert type(found) is type(value) or isinstance(found, Map)


@pytest.mark.parametrize("word", TRAPS)
def test_traps_are_refused_unless_quoted(word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"a:\n  b: {word}\n", "f")
    (problem,) = caught.value.problems
    assert (problem.mark, problem.path, problem.given) == (Position("f", 2, 6), ("a", "b"), word)
    assert load(f"a: '{word}'\n", "f") == {"a": word}


def test_all_problems_of_a_file_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load("a: no\nb: 12:30\na: 1\nc: !!str 5\n7: x\n", "f")
    assert [(problem.mark.line, problem.mark.column) for problem in caught.value.problems if problem.mark] == [
        (1, 4),
        (2, 4),
        (3, 1),
        (4, 4),
        (5, 1),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a:\n\tb: 1\n", 2, 1, "tab in the indentation"),
        ("a: 1\nb:\t1\n", 2, 3, "a tab where YAML needs spaces"),
        ("a: *x\n", 1, 4, "undefined alias"),
        ("a: 'x\n", 1, 4, "quote is not closed"),
        ("? [1]\n: 2\n", 1, 3, "a key is a word"),
        ("<<: {a: 1}\n", 1, 1, "merge keys"),
        ("a: &x\n  b: *x\n", 1, 4, "recursive|deep|more than"),
    ],
)
def test_what_is_not_admitted(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load(text, "f")
    mark = caught.value.problems[0].mark
    assert mark is not None
    if "recursive" not in words:
        assert (mark.line, mark.column) == (line, column)


def test_marks_of_keys_values_and_what_is_missing() -> None:
    tree = load("a:\n  b: [1, {c: 2}]\n", "f")
    assert mark_at(tree, ("a", "b", 1, "c")) == Position("f", 2, 14)
    assert mark_at(tree, ("a", "b"), of="key") == Position("f", 2, 3)
    assert mark_at(tree, ("a", "b", 0)) == Position("f", 2, 7)
    assert mark_at(tree, ("a", "missing", "deeper")) == Position("f", 2, 3)
    assert mark_at(tree, ()) == Position("f", 1, 1)


def test_marks_survive_a_copy() -> None:
    tree = load("a: {b: [1, 2]}\n", "f")
    other = copy.deepcopy(tree)
    other["a"]["b"].append(3)
    assert tree == {"a": {"b": [1, 2]}}
    assert mark_at(other, ("a", "b", 1)) == mark_at(tree, ("a", "b", 1))
    assert isinstance(other["a"]["b"], Seq)


def test_aliases_are_written_out() -> None:
    assert load("a: &x {b: 1}\nc: *x\n", "f") == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert load("\ufeffa: 1\n", "f") == {"a": 1}


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(-1e29, 1e29)
    | st.text(max_size=12)
    | st.sampled_from([*TRAPS, "1e-4", "<<", "a: b", "=", "null"])
)
keys = st.text(min_size=1, max_size=8) | st.sampled_from(["no", "1e-4", "true", "<<", "a.b", "0777"])
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@settings(deadline=None)
@given(trees)
def test_what_is_written_reads_back_equal(tree: Any) -> None:
    read = load_value(dump(tree), "f")
    assert plain(read) == tree
    assert repr(plain(read)) == repr(tree)  # 1 is not 1.0, nor true


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
wide = st.text("ab '", min_size=80, max_size=400)  # longer than a line of the emitters
short_keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=100)
ascii_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e29, 1e29) | printable | wide | st.sampled_from(TRAPS),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(short_keys, inner, max_size=8),
    max_leaves=30,
).filter(lambda tree: isinstance(tree, dict | list))


@settings(deadline=None)
@given(ascii_trees)
def test_libyaml_writes_the_text_of_the_emitter_in_python(tree: Any) -> None:
    assert yaml_io._equal_in_c(tree)
    assert yaml_io._dumped(tree, yaml_io._CWriter) == yaml_io._dumped(tree, yaml_io._Writer)


@settings(deadline=None)
@given(trees)
def test_any_tree_is_written_as_by_the_emitter_in_python(tree: Any) -> None:
    assert dump(tree) == yaml_io._dumped(tree, yaml_io._Writer)


@pytest.mark.parametrize(
    "tree", [{"k" * 123: 1}, {"": 1}, {"a": "\U0001f600"}, {"a": ("word " * 60) + "\x07"}, "text", None, {"\u2028": 1}]
)
def test_what_libyaml_writes_differently_is_written_in_python(tree: Any) -> None:
    assert dump(tree) == yaml_io._dumped(tree, yaml_io._Writer)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_libyaml_writes_every_shipped_file_as_python_does(path: Path) -> None:
    tree = load_file(path)
    assert yaml_io._equal_in_c(tree)
    assert yaml_io._dumped(tree, yaml_io._CWriter) == yaml_io._dumped(tree, yaml_io._Writer)


def test_the_emitter_in_python_takes_over_where_libyaml_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeDumper", raising=False)
    spec = importlib.util.spec_from_file_location("without_libyaml", yaml_io.__file__)
    assert spec is not None
    assert spec.loader is not None
    without = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(without)
    assert issubclass(without._CWriter, yaml.SafeDumper)
    assert without.dump({"a": [1, "no"]}) == dump({"a": [1, "no"]})


def test_nan_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="NaN"):
        dump({"a": [float("nan")]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a: "one\nb: 2\nc: 3\n', "x.yaml:1:4: this quote is not closed"),
        ("a: 1\nb: [1, 2\n", "x.yaml:2:4: this bracket is not closed"),
        ("a: {b: 1,\n  c: 2\n", "x.yaml:1:4: this brace is not closed"),
        ("a: [1, 2\nb: 3\n", "x.yaml:1:4: this bracket is not closed"),
        ("a:\n  b: {x: [1, 2], y: 1\n  c: 1\n", "x.yaml:2:6: this brace is not closed"),
        ("a: {x: {y: 1}\nb: 2\n", "x.yaml:1:4: this brace is not closed"),
        ("a: {x: 1 # }\nb: [2]\n", "x.yaml:1:4: this brace is not closed"),
        ("a: {x: [1, 2, y: 3}\n", "x.yaml:1:8: this bracket is not closed"),
        ("a: {x: 1]\n", "x.yaml:1:4: this brace is not closed"),
        ("a: {x: 1}}\nb: 2\n", "x.yaml:1:10: this brace closes nothing"),
        ("a: ]\n", "x.yaml:1:4: this bracket closes nothing"),
        (
            "a: {x: 1\n    y: 2}\n",
            "x.yaml:2:6: a comma is missing before this, or the brace of line 1, column 4 is not closed",
        ),
        (
            "stages: {0: 1.0}\n",
            "x.yaml:1:10: stages: a number alone is no key; a place in a run has a unit, `0 %` or `100 "
            "steps`; given: 0",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_begins(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text, "x.yaml")
    assert str(caught.value) == said
