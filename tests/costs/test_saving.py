"""Solved numbers: equal kept blocks to 1e-9, never more, and refusals that state the reachable range at the right
place.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pld_search.costs.expected_depth import kept_grid
from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.saving import openings, resolve_schedule
from pld_search.errors import ConfigError
from pld_search.schedules.schedule import Schedule
from pld_search.specs.written_schedules import schedule_tree
from pld_search.specs.yaml_io import Map, load

CONVENTIONS = "draw: {kind: bernoulli, per: group, unit: layer}\nrescale: sublayer\nskipped: freeze\n"


def _tree(temporal: str, depth: str = "{kind: uniform}", more: str = "") -> Map:
    return load(f"temporal: {temporal}\ndepth: {depth}\n{CONVENTIONS}{more}", "mine.yaml")


def _relative(schedule: Schedule, like: Schedule, steps: int, layers: int) -> float:
    target = kept_grid(like, steps, layers)
    return (kept_grid(schedule, steps, layers) - target) / target


@pytest.mark.parametrize("name", ["random", "td-only"])
@pytest.mark.parametrize(("steps", "layers"), [(1, 1), (3, 2), (400, 6), (10_000, 12), (200_000, 24)])
def test_the_shipped_ones_keep_what_pld_keeps(name: str, steps: int, layers: int) -> None:
    solved = load_schedule(name, layers=layers, steps=steps)
    assert -1e-9 <= _relative(solved, load_schedule("pld"), steps, layers) <= 0


@pytest.mark.parametrize(
    "temporal",
    [
        "{kind: linear, start: {saving: like dd-only}, end: 1.0}",
        "{kind: linear, start: 1.0, end: {saving: like dd-only}}",
        "{kind: linear, start: 0.55, end: {saving: like dd-only}}",
        "{kind: exponential, start: {saving: like dd-only}, end: 0.7, rate: 2 / run}",
        "{kind: exponential, start: 1.0, end: 0.5, rate: {saving: like dd-only}}",
        "{kind: exponential, start: 0.5, end: 1.0, rate: {saving: like dd-only}}",
        "{kind: constant, value: {saving: like dd-only}}",
    ],
)
def test_every_number_of_a_temporal_family_can_be_solved(temporal: str) -> None:
    solved = resolve_schedule(_tree(temporal), 12, 1000)
    assert -1e-9 <= _relative(solved, load_schedule("dd-only"), 1000, 12) <= 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1000), st.integers(1, 500), st.integers(1, 20))
def test_any_keep_rate_is_met_up_to_the_grid(thousandths: int, steps: int, layers: int) -> None:
    like = _tree(f"{{kind: constant, value: {thousandths / 1000}}}", "{kind: linear, index: l/L}")
    solved = resolve_schedule(
        _tree("{kind: constant, value: {saving: like that}}"), layers, steps, load=lambda name: {"that": like}[name]
    )
    target, found = (kept_grid(schedule, steps, layers) for schedule in (resolve_schedule(like, layers, steps), solved))
    assert 0 <= target - found <= max(1e-9 * target, steps * layers)


def test_like_full_is_full_depth() -> None:
    assert (
        load_schedule("random", layers=12, steps=100, sets=["temporal.value={saving: like full}"]).temporal.lowest
        == 1.0
    )


def test_a_saving_like_one_that_is_solved_itself() -> None:
    tree = _tree("{kind: constant, value: {saving: like random}}")
    assert abs(_relative(resolve_schedule(tree, 12, 1000), load_schedule("pld"), 1000, 12)) <= 2e-9


def test_a_literal_tree_is_only_checked() -> None:
    tree = schedule_tree("pld")
    assert openings(tree) == []
    assert resolve_schedule(tree, 1, 1) == resolve_schedule(tree, 48, 10**6)
    with pytest.raises(ConfigError, match=r"mine.yaml:1:40: temporal.valeu: unknown key"):
        resolve_schedule(_tree("{kind: constant, value: 0.5, valeu: 1}"), 1, 1)


def test_a_number_inside_a_number_is_one() -> None:
    tree = {"temporal": {"saving": [], "value": {"saving": "like pld"}}, "depth": {"power": {"saving": "like pld"}}}
    assert openings(tree) == [("temporal",), ("depth", "power")]


def test_the_tree_is_left_as_it_was() -> None:
    tree = schedule_tree("random")
    resolve_schedule(tree, 12, 100)
    assert tree["temporal"]["value"] == {"saving": "like pld"}


@pytest.mark.parametrize(
    ("temporal", "more", "message"),
    [
        (
            "{kind: constant, value: {saving: like pld, of: blocks}}",
            "",
            r"mine.yaml:1:36: temporal.value: .*allowed: \{saving: 25 % of blocks\}",
        ),
        (
            "{kind: constant, value: {saving: 25 %}}",
            "",
            r"mine.yaml:1:36: temporal.value: .*allowed: \{saving: 25 % of blocks\}",
        ),
        (
            "{kind: constant, value: {saving: 0.5}}",
            "",
            "a saving is a share of blocks or of the total, or that of another schedule",
        ),
        (
            "{kind: constant, value: {saving: like}}",
            "",
            "a saving is a share of blocks or of the total, or that of another schedule",
        ),
        ("{kind: constant, value: {saving: like pdl}}", "", r"mine.yaml:1:36: .*given: pdl; did you mean pld\?"),
        (
            "{kind: linear, start: {saving: like pld}, end: {saving: like pld}}",
            "",
            "mine.yaml:1:59: temporal.end: only one number",
        ),
        (
            "{kind: constant, value: 1.0}",
            "name: {saving: like pld}\n",
            r"name: this cannot be solved .* of temporal or depth",
        ),
        ("{saving: like pld}", "", "temporal: this cannot be solved"),
        ("{kind: constant, saving: [], value: {saving: like pld}}", "", "mine.yaml:1:28: temporal: this cannot be"),
        ("{kind: constant, value: {saving: {a: 1, b: {saving: 2}}}}", "", "1:36: temporal.value: a saving is a share"),
        ("{kind: constant, end: {saving: like pld}}", "", "mine.yaml:1:28: temporal.end: unknown key"),
        ("{kind: linear, start: {saving: like pld}}", "", "temporal.end: this key is required"),
    ],
)
def test_what_is_refused(temporal: str, more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_schedule(_tree(temporal, more=more), 12, 100)


@pytest.mark.parametrize(
    ("temporal", "low", "high"),
    [
        ("{kind: linear, start: 0.1, end: {saving: like pld}}", "5.05 %", "54.55 %"),
        ("{kind: exponential, start: 1.0, end: 0.9, rate: {saving: like pld}}", "90.1 %", "100 %"),
    ],
)
def test_what_cannot_be_reached_states_the_range(temporal: str, low: str, high: str) -> None:
    with pytest.raises(ConfigError, match="no value keeps as many blocks as pld") as caught:
        resolve_schedule(_tree(temporal), 12, 100)
    (problem,) = caught.value.problems
    assert problem.mark is not None
    assert (problem.mark.file, problem.mark.line) == ("mine.yaml", 1)
    assert str(problem.allowed).startswith(f"between {low} of the blocks kept and {high}")
    assert str(problem.given) == "73.35 % of the blocks kept"


def test_a_circle_is_named() -> None:
    trees = {
        "a": _tree("{kind: constant, value: {saving: like b}}"),
        "b": _tree("{kind: constant, value: {saving: like a}}"),
    }
    with pytest.raises(ConfigError, match="the savings form a circle; given: b -> a -> b"):
        resolve_schedule(trees["a"], 2, 10, load=trees.__getitem__)


def test_a_place_starts_at_the_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "half.yaml").write_text("base: dd-only\ndepth.kind: uniform\n")
    (tmp_path / "mine.yaml").write_text("base: random\ntemporal.value: {saving: like ./half.yaml}\n")
    solved = load_schedule(tmp_path / "mine.yaml", layers=12, steps=100)
    assert -1e-9 <= _relative(solved, load_schedule(tmp_path / "half.yaml"), 100, 12) <= 0
