"""The JSON Schema is one, describes every key, and takes every shipped file; what has a wrong key, word or unit it
refuses.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pld_search.errors import ConfigError
from pld_search.schedules.library import names, path_of
from pld_search.schedules.schedule import Schedule
from pld_search.schedules.schedule_schema import schedule_definitions, schedule_schema
from pld_search.specs.tree_changes import paths
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import schedule_tree
from pld_search.specs.yaml_io import value_at
from tests.schedules.examples import PLD

BLOCKS = ("temporal", "depth", "draw", "rescale", "skipped")
VALIDATOR = Draft202012Validator(schedule_schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schedule_schema())
    assert schedule_schema() == schedule_schema()
    assert {name.removesuffix(".part") for name in schedule_schema()["$defs"]} - {"Schedule"} == set(
        schedule_definitions()
    ) - {"Schedule"}


def test_every_key_is_described() -> None:
    seen = 0
    for name, definition in schedule_schema()["$defs"].items():
        for key, value in definition.get("properties", {}).items():
            if key not in ("kind", "saving") and "." not in key:
                seen += 1
                assert value.get("description"), f"{name}.{key}"
    assert seen >= 40


@pytest.mark.parametrize("name", names())
def test_every_shipped_file(name: str) -> None:
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path_of(name).read_text()))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"temporal": {"kind": "constant", "value": {"saving": "25 % of blocks"}}},
        {"temporal": {"kind": "constant", "value": "75 %"}},
        {"temporal": {"kind": "stages", "stages": {"0 %": {"saving": "like pld"}, "300 steps": 1.0}}},
        {"temporal": {"kind": "stages", "stages": [["0 %", 0.5], ["10 %", {"saving": "like pld"}]]}},
        {"depth": {"kind": "table", "values": [1.0, {"saving": "like pld"}]}},
        {"depth": {"kind": "uniform", "always": ["first", 3]}},
        {"run": "1000 steps"},
    ],
)
def test_what_is_admitted(change: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid({**PLD, **change})
    assert VALIDATOR.is_valid({"base": "pld", **change})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("temporal", "rate"), 100),
        (("temporal", "rate"), "100 / epoch"),
        (("temporal", "end"), 1.5),
        (("temporal", "theta"), 0.5),
        (("temporal", "kind"), "sigmoid"),
        (("depth", "index"), "i/N"),
        (("depth", "always"), []),
        (("draw", "per"), "token"),
        (("rescale",), "half"),
        (("gamma",), 0.1),
    ],
)
def test_what_is_refused(path: tuple[str, ...], value: Any) -> None:
    tree: Any = copy.deepcopy(PLD)
    inner = tree
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    assert VALIDATOR.is_valid(PLD)
    assert not VALIDATOR.is_valid(tree)


def _leaves(tree: Any) -> list[tuple[tuple[str, ...], Any]]:
    """What a variation can change of a file: lists as a whole, and not what only describes it."""
    found = []
    for path in paths(tree):
        words = tuple(part for part in path if isinstance(part, str) and part != "saving")
        if words[0] not in ("name", "about", "source"):
            found.append((words, value_at(tree, words)))
    return found


@pytest.mark.parametrize("name", names())
def test_a_variation_of_every_key_of_a_shipped_file_in_both_ways(name: str) -> None:
    tree = yaml.safe_load(path_of(name).read_text())
    leaves = _leaves(tree)
    assert len(leaves) >= 7
    for path, value in leaves:
        nested = value
        for word in reversed(path):
            nested = {word: nested}
        for written in ({".".join(map(str, path)): value}, nested):
            assert list(VALIDATOR.iter_errors({"base": name, **written})) == [], written
            changed = schedule_tree({"base": name, **written})
            assert {key: changed[key] for key in BLOCKS} == {key: tree[key] for key in BLOCKS}


PHASES = [
    {"until": "10 %", "temporal": {"kind": "constant", "value": 1}},
    {"until": "100 %", "temporal": {"kind": "cosine", "start": 1, "end": 0.5}},
]
VARIATIONS = (
    {"temporal.end": 0.7},
    {"temporal": {"end": "70 %"}, "depth.index": "(l-1)/(L-1)"},
    {"temporal": {"kind": "stages"}, "temporal.stages.0 %": 0.5, "temporal.stages.30 %": 1.0},
    {
        "temporal.kind": "phases",
        "temporal.phases": [
            {"until": "10 %", "temporal": {"kind": "constant", "value": 1}},
            {"until": "100 %", "temporal": {"kind": "cosine", "start": 1, "end": 0.5}},
        ],
    },
    {"draw.per": "sequence", "draw.strata": 8},
    {"depth.kind": "alternate", "depth.layers": "odd", "depth.always": ["first", 3]},
    {"temporal.rate": "0.001 / step", "run": "1000 steps"},
    {"run": None, "depth.always": None},
)
WRONG = (
    {"base": 3},
    {"base": {"base": "pld"}},
    {"temporal.theta": 0.7},
    {"temporal": {"theta": 0.7}},
    {"temporal.end": 7},
    {"temporal.end": [0.5]},
    {"temporal.rate": 100},
    {"temporal.kind": "sigmoid"},
    {"temporal": {"kind": "stages", "stages.0 %": 2}},
    {"depth.index": "i/N"},
    {"draw.strata": 1},
    {"rescale": "half"},
    {"gamma": 0.001},
    {"temporal..end": 0.5},
)


@pytest.mark.parametrize("change", VARIATIONS)
def test_a_variation_that_is_read_is_admitted(change: dict[str, Any]) -> None:
    assert isinstance(check(Schedule, schedule_tree({"base": "pld", **change})), Schedule)
    assert list(VALIDATOR.iter_errors({"base": "pld", **change})) == []


@pytest.mark.parametrize("change", WRONG)
def test_a_variation_that_is_refused_is_not_admitted(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        check(Schedule, schedule_tree({"base": "pld", **change}))
    assert not VALIDATOR.is_valid({"base": "pld", **change})


def test_a_file_without_a_base_may_be_dotted_too() -> None:
    dotted = {key: value for key, value in PLD.items() if key != "draw"} | {
        f"draw.{key}": value for key, value in PLD["draw"].items()
    }
    assert check(Schedule, schedule_tree(dotted)) == check(Schedule, schedule_tree(PLD))
    assert VALIDATOR.is_valid(dotted)
    assert not VALIDATOR.is_valid({"temporal": {"end": 0.5}})
    assert not VALIDATOR.is_valid({})
