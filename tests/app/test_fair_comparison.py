"""Equal seeds, tuned rates and the right depth: what a comparison lacks, and what it waives with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.app.fair_comparison import NO_SHALLOWER, UNEQUALLY_TUNED, fairness_notes, refuse_unfair, waivers
from pld_search.app.study_data import assumed
from pld_search.errors import ConfigError
from pld_search.schedules.library import shipped
from pld_search.spaces.load_study import load_study
from pld_search.spaces.study import Study
from pld_search.spaces.study_identity import differences
from tests.search.studies import small_study

PLD = "  pld: {schedule: pld}\n"
TUNED = "  pld: {schedule: pld, optimizer.lr: {log: [1e-4, 1e-2]}, tune: 3}\n"
SHALLOW = "  shallow: {schedule: full, model.layers: 2}\n"


def study(folder: Path, rows: str, more: str = "") -> Study:
    return small_study(folder, f"systems:\n  full: {{schedule: full}}\n{rows}reference: full\n{more}", lr="1e-3")


def notes(found: Study) -> list[str]:
    return fairness_notes(found, assumed(found))


@pytest.mark.parametrize("name", list(shipped("spaces")))
def test_every_shipped_study_can_decide_and_compares_fairly(name: str, tmp_path: Path) -> None:
    found = load_study(name)
    assert not found.decides_nothing
    assert notes(found) == []
    refuse_unfair(found, tmp_path)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (PLD, [NO_SHALLOWER]),
        (PLD + SHALLOW, []),
        (SHALLOW, []),
        (PLD + SHALLOW.replace("schedule: full", "schedule: pld"), [NO_SHALLOWER]),
        ("  grown: {schedule: full, growth: {stages: {0 %: 2, 50 %: 4}, weights: stack, moments: copy}}\n", []),
    ],
)
def test_what_a_comparison_lacks(tmp_path: Path, rows: str, wanted: list[str]) -> None:
    found = study(tmp_path, rows)
    assert notes(found) == wanted
    waived = study(tmp_path, rows, "waive: {tuning: no time, depth: one depth is asked for}\n")
    assert notes(waived) == []
    assert list(waivers(waived)) == [
        "waived: tuning: no time",
        "waived: a shallower full-depth row: one depth is asked for",
    ]
    assert differences(found, waived) == []


def test_unequal_tuning_is_refused_unless_it_is_waived(tmp_path: Path) -> None:
    found = study(tmp_path, TUNED + SHALLOW)
    with pytest.raises(ConfigError) as error:
        refuse_unfair(found, tmp_path / "small")
    assert [
        (".".join(map(str, each.path)), each.message, each.allowed, each.given) for each in error.value.problems
    ] == [
        (f"systems.{name}.tune", UNEQUALLY_TUNED, "3 runs for every system", "0 runs") for name in ("full", "shallow")
    ]
    assert "small.yaml:" in str(error.value)
    refuse_unfair(study(tmp_path, TUNED + SHALLOW, "waive: {tuning: no time}\n"), tmp_path / "small")
    refuse_unfair(study(tmp_path, PLD + SHALLOW), tmp_path / "small")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "study.jsonl").touch()  # begun before tuning had to be equal
    refuse_unfair(found, tmp_path / "small")


def test_a_study_that_was_begun_with_seeds_of_one_system_continues(tmp_path: Path) -> None:
    found = study(tmp_path, "  pld: {schedule: pld, seeds: 2}\n")
    with pytest.raises(
        ConfigError, match=r"small\.yaml:\d+:8: systems\.pld\.seeds: every system has the study's seeds"
    ):
        refuse_unfair(found, tmp_path / "small")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "study.jsonl").touch()
    refuse_unfair(found, tmp_path / "small")


def test_sampled_configurations_may_have_other_seeds_than_the_systems(tmp_path: Path) -> None:
    search = "seeds: 3\nsearch: {trials: 2, seeds: SEEDS}\n"
    rows = "systems:\n  full: {schedule: full, optimizer.lr: 1e-3}\n  pld: {schedule: pld, optimizer.lr: 1e-3}\n"
    one, two = (small_study(tmp_path, f"{rows}reference: full\n{search}".replace("SEEDS", n)) for n in ("1", "2"))
    assert (one.seeds_of(None), one.seeds_of("pld")) == (1, 3)
    assert differences(one, two) == []
    assert differences(two, one) == ["search.seeds: 2 -> 1 (only more can be added)"]
