"""Schedules by name, by place and in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.errors import ConfigError, Position
from pld_search.schedules.schedule import Schedule
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import is_place, schedule_tree
from pld_search.specs.yaml_io import load, mark_at


@pytest.mark.parametrize("text", ["./x", "../x", "/x", "~/x", "x.yaml", "a/b.yaml"])
def test_places(text: str) -> None:
    assert is_place(text)


@pytest.mark.parametrize("text", ["pld", "td-only", "org/name"])
def test_names(text: str) -> None:
    assert not is_place(text)


def test_by_name() -> None:
    tree = schedule_tree("pld")
    assert check(Schedule, tree).name == "pld"


def test_by_place_relative_to_who_says_it(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "mine.yaml").write_text("base: ../other.yaml\ntemporal.end: 0.7\n")
    (tmp_path / "other.yaml").write_text("base: pld\nname: other\nrescale: block\n")
    schedule = check(Schedule, schedule_tree("./inner/mine.yaml", tmp_path))
    assert (schedule.rescale, schedule.temporal.lowest, schedule.name) == ("block", 0.7, "mine")


def test_a_change_is_named_after_its_base_and_drops_the_texts_about_it() -> None:
    tree = schedule_tree({"base": "pld", "temporal.end": 0.7})
    assert tree["name"] == "pld (changed)"
    assert "about" not in tree
    assert "source" not in tree


def test_a_changed_kind_starts_afresh() -> None:
    tree = schedule_tree({"base": "pld", "temporal": {"kind": "constant", "value": 0.7}})
    assert tree["temporal"] == {"kind": "constant", "value": 0.7}


def test_marks_are_those_of_who_wrote_it(tmp_path: Path) -> None:
    tree = schedule_tree(load("base: pld\ntemporal.end: 0.7\n", "mine.yaml"))
    assert mark_at(tree, ("temporal", "end")) == Position("mine.yaml", 2, 15)
    mark = mark_at(tree, ("temporal", "rate"))
    # of a shipped file its user wrote only the name
    assert (mark, mark and mark.base) == (Position("mine.yaml", 1, 7), "pld")


def test_a_base_that_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: ./b.yaml\n")
    (tmp_path / "b.yaml").write_text("run: 5 steps\nbase: ./a.yaml\n")
    with pytest.raises(ConfigError) as caught:
        schedule_tree("./a.yaml", tmp_path)
    (problem,) = caught.value.problems
    assert (problem.message, problem.given) == ("the bases form a circle", "a -> b -> a")
    assert problem.mark == Position(str(tmp_path / "b.yaml"), 2, 7)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("pdl", "did you mean pld"),
        ("./nothing.yaml", "no such file"),
        ({"base": "pdl"}, "base: no schedule of this name"),
        ({"base": 3}, "base is a name or a place"),
        ({"base": "pld", "temporal.end": 1, "temporal": {"end": 2}}, "written twice"),
    ],
)
def test_bad_references(source: str | dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        schedule_tree(source, tmp_path)


def test_without_a_base_every_convention_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check(Schedule, schedule_tree(load("temporal: {kind: constant, value: 1}\n", "f")))
    assert [problem.path for problem in caught.value.problems] == [("depth",), ("draw",), ("rescale",), ("skipped",)]


def test_a_file_that_is_there_is_suggested_as_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("base: pld\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "over.yaml").write_text("base: mine\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no schedule of this name; .*; given: mine; did you mean \./mine\.yaml\?"):
        schedule_tree("mine")
    with pytest.raises(ConfigError) as caught:
        schedule_tree("./sub/over.yaml", tmp_path)  # there is none beside the file that says it
    assert caught.value.problems[0].suggestion == "linear"
    (tmp_path / "sub" / "mine").write_text("base: pld\n")
    with pytest.raises(ConfigError, match=r"over\.yaml:1:7: base: .*did you mean \./mine\?"):
        schedule_tree("./sub/over.yaml", tmp_path)
    with pytest.raises(ConfigError, match="no schedule of this name"):
        schedule_tree("x" * 5000)


def test_what_a_program_changes_has_no_place_in_the_file_of_the_base() -> None:
    tree = schedule_tree({"base": "pld", "temporal": {"end": 0.3}, "depth": {"kind": "table", "values": [1, 0.5]}})
    assert mark_at(tree, ("depth", "values")) is None
    assert mark_at(tree, ("temporal", "end")) is None
    kept = mark_at(tree, ("temporal", "start"))
    assert kept is not None and kept.file.endswith("pld.yaml")
