"""Reasons become problems at their places, and name the other lines that could be the wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.costs.load_schedule import load_schedule
from pld_search.errors import ConfigError, Reason
from pld_search.specs.problems_in_tree import also, problems_at
from pld_search.specs.yaml_io import load

TEXT = """temporal:
  kind: stages
  stages:
    0%: 0.5
    30.0 %: 1.0
draw: {kind: exact, per: sequence, unit: layer, strata: 8}
depth:
  kind: uniform
  always: [first, 14]
rescale: none
skipped: freeze
"""
TREE = load(TEXT, "mine.yaml")


def test_a_reason_stands_where_its_key_was_written_however_it_is_spelled() -> None:
    (problem,) = problems_at(TREE, [Reason(("temporal", "stages", "30 %"), "no", (("rescale",), ("nothing",)))])
    assert str(problem) == "mine.yaml:5:13: temporal.stages.30.0 %: no (see also rescale in line 10)"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("rescale",), " (see also rescale in line 10)"),
        (("temporal",), " (see also temporal in lines 1-5)"),
        (("depth", "always"), " (see also depth.always in line 9)"),
        (("draw", "kind"), ""),  # in the line of the mark
        (("draw", "kind", "deeper"), ""),
        ((), ""),
    ],
)
def test_other_places_are_named_by_their_lines(path: tuple[str, ...], said: str) -> None:
    assert also(TREE, (path,), TREE.marks_of("draw")[0]) == said
    assert also(TREE, (path,), None) == ""


def told(folder: Path, text: str) -> list[str]:
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_schedule(folder / "mine.yaml", layers=12, steps=100)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_clash_names_both_of_its_lines(tmp_path: Path) -> None:
    (line,) = told(
        tmp_path,
        TEXT.replace(
            "{kind: exact, per: sequence, unit: layer, strata: 8}",
            "\n  kind: exact\n  per: sequence\n  unit: layer\n  strata: 8",
        ),
    )
    assert line.startswith("mine.yaml:8:8: draw.per: `draw.kind: exact` counts")
    assert line.endswith("(see also draw.kind in line 7)")


def test_what_a_run_refuses_has_its_place(tmp_path: Path) -> None:
    (line,) = told(
        tmp_path,
        TEXT.replace("{kind: exact, per: sequence, unit: layer, strata: 8}", "{kind: exact, per: group, unit: layer}"),
    )
    assert line == "mine.yaml:9:19: depth.always[1]: there is no layer 14 in a model of 12 layers"


def test_keys_left_over_by_a_changed_kind_are_told_with_the_kind(tmp_path: Path) -> None:
    text = "base: pld\ntemporal:\n  kind: linear\n  start: 1.0\n  rate: 100 / run\n  lag: 1 step\n  ends: 0.5\n"
    lines = told(tmp_path, text)
    assert (
        lines[0]
        == "mine.yaml:3:9: temporal.kind: `rate`, `lag` beside it belong to another kind; allowed: exponential; "
        "given: linear"
    )
    assert [line.split(": ")[1] for line in lines[1:]] == ["temporal.rate", "temporal.lag", "temporal.ends"]


def test_a_kind_that_is_called_like_a_key_of_its_own(tmp_path: Path) -> None:
    lines = told(tmp_path, "base: pld\ntemporal:\n  kind: stages\n  power: 2\n  stages: {1 %: 0.5, 50 %: 1.0}\n")
    assert [line.split(": ")[0] for line in lines] == ["mine.yaml:3:9", "mine.yaml:4:3"]
    assert told(tmp_path, "base: pld\ntemporal:\n  kind: stages\n  stages: {1 %: 0.5, 50 %: 1.0}\n")[0].startswith(
        "mine.yaml:4:17: temporal.stages.1 %: "
    )


def test_an_unreachable_saving_names_the_numbers_that_bound_it(tmp_path: Path) -> None:
    text = "base: pld\ntemporal.start: 0.2\ntemporal.end: {saving: 0.01 % of blocks}\nrescale: none\n"
    (line,) = told(tmp_path, text)
    assert line.startswith(
        "mine.yaml:3:16: temporal.end: no value saves 0.01 % of blocks (see also temporal in lines 2-3); "
        "allowed: between "
    )


def test_a_wrong_phase_is_one_problem(tmp_path: Path) -> None:
    phases = (
        "base: pld\ntemporal:\n  kind: phases\n  phases:\n    - {until: 10 %, temporal: {kind: constant, value: 1}}\n"
    )
    lines = told(tmp_path, phases + "    - {until: 100 %, temporal: {kind: linear, start: 1, end: 1.5}}\n")
    assert [line.split(": ")[1] for line in lines] == ["temporal.phases[1].temporal.end"]
    assert told(tmp_path, phases)[0].endswith("temporal.phases: needs at least 2 items")
