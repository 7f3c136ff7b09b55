"""Looks that buy seeds: declared once, three at most, bought once whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records.study_events import LooksDeclared, StudyLooked, read_study_events
from pld_search.records.study_record import StudyView, view
from pld_search.search.seed_looks import Look
from tests.search.in_process import InProcess, snapshots
from tests.search.studies import run, small_study

ROWS = (
    "systems: {full: {schedule: full}, pld: {schedule: pld}, random: {schedule: random}}\nreference: full\nseeds: 2\n"
)


def taken(folder: Path) -> Look:
    """`pld` is decided at once; `random` is undecided and wants a seed more at each look, however many there are."""
    trials = view(folder).study.trials
    seeds = {trial.system: len(trial.seeds) for trial in trials.values()}
    verdicts = {"pld": "worse", "random": "undecided"}
    return Look(verdicts, {0: seeds["random"] + 1, 2: seeds["random"] + 1})


def looked(tmp_path: Path, folder: Path | None = None) -> StudyView:
    folder = folder or tmp_path / "small"
    study = small_study(tmp_path, ROWS, lr="1e-3")
    assert run(study, folder, slots=1, launcher=InProcess(), poll=0, look=taken) == 0
    return view(folder)


def test_undecided_rows_and_the_reference_get_seeds_and_no_look_is_the_fourth(tmp_path: Path) -> None:
    found = looked(tmp_path)
    assert {trial.system: trial.seeds for trial in found.study.trials.values()} == {
        "full": [0, 1, 2, 3],
        "pld": [0, 1],
        "random": [0, 1, 2, 3],
    }
    assert [(event.look, dict(event.seeds)) for event in found.study.looked] == [
        (1, {"0": 3, "2": 3}),
        (2, {"0": 4, "2": 4}),
        (3, {}),
    ]
    assert all(record.state == "finished" for record in found.runs.values())
    looked(tmp_path)
    events = read_study_events(tmp_path / "small" / "study.jsonl")
    assert sum(isinstance(event, StudyLooked) for event in events) == 3
    assert [event.post_hoc for event in events if isinstance(event, LooksDeclared)] == [False]


def test_looks_that_begin_after_results_say_so(tmp_path: Path) -> None:
    study = small_study(tmp_path, ROWS, lr="1e-3")
    assert run(study, tmp_path / "small", slots=1, launcher=InProcess(), poll=0) == 0
    assert view(tmp_path / "small").study.looks is None
    declared = looked(tmp_path).study.looks
    assert declared is not None and declared.post_hoc


def test_a_death_after_any_record_buys_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths = snapshots(monkeypatch, tmp_path / "small", tmp_path / "taken")
    whole = looked(tmp_path)
    monkeypatch.undo()
    after = [path for path in deaths if path.name.endswith(("looks", "looked", "reseeded"))]
    assert len(after) >= 6
    for path in after:
        again = looked(tmp_path, path / "small").study
        assert [event.seeds for event in again.looked] == [event.seeds for event in whole.study.looked]
        assert [trial.seeds for trial in again.trials.values()] == [t.seeds for t in whole.study.trials.values()]
