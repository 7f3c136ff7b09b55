"""Equal runs (digest and seed) are trained once, wherever in a study they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records import jsonl
from pld_search.records.study_record import view
from tests.search.studies import check_ended_once, run, small_study

EQUAL = """
systems:
  pld: {schedule: pld, optimizer.lr: 1e-3, seeds: 2}
  same: {schedule: {base: pld, name: other}, optimizer.lr: 1e-3}
  tuned: {schedule: pld, optimizer.lr: {choice: [1e-3, 1e-2]}, tune: 4}
reference: pld
search: {sampler: random, trials: 6, seed: 0}
"""


def records(folder: Path, kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [record for record in jsonl.read(folder / "study.jsonl") if record["event"] == kind]


def test_across_systems_tuning_and_search(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    study = small_study(tmp_path, EQUAL, lr="{choice: [1e-3, 1e-2]}")
    assert run(study, folder) == 0
    found = check_ended_once(folder)
    assert len(records(folder, "launched")) == 3  # two learning rates, and the second seed of one
    assert len(found.runs) == 2 + 1 + 4 + 6
    assert len(records(folder, "reused")) == 10
    for trial in found.study.trials.values():
        assert trial.told is not None
        assert trial.told.state == "COMPLETE"
        for index, (number, other) in trial.reused.items():
            source = found.study.trials[number]
            assert (source.asked.digest, other) == (trial.asked.digest, index)
            assert not source.reused
            assert found.runs[trial.number, index].final == found.runs[number, other].final
    assert run(study, folder) == 0
    assert len(records(folder, "reused")) == 10


def test_while_the_first_goes_on_the_others_wait_and_slots_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_STEP", "0.005")
    folder = tmp_path / "small"
    systems = "systems: {a: {schedule: pld}, b: {schedule: pld}, c: {schedule: full}}\n"
    assert run(small_study(tmp_path, systems, lr="1e-3"), folder, slots=2) == 0
    kinds = [
        (record["event"], record["trial"])
        for record in jsonl.read(folder / "study.jsonl")
        if record["event"] in ("launched", "exited", "reused")
    ]
    assert kinds.index(("launched", 2)) < kinds.index(("exited", 0))
    assert kinds.index(("reused", 1)) > kinds.index(("exited", 0))
    assert ("launched", 1) not in kinds


def test_a_failed_run_is_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CRASH", "1e-4")
    folder = tmp_path / "small"
    assert (
        run(
            small_study(tmp_path, "systems: {a: {schedule: pld}, b: {schedule: pld}}\n", lr="1e-3"),
            folder,
            machine={"retries": 0},
        )
        == 1
    )
    assert len(records(folder, "launched")) == 2
    assert [trial.told.state for trial in view(folder).study.trials.values() if trial.told] == ["FAIL", "FAIL"]
    assert not records(folder, "reused")


def test_a_diverged_run_is_reused_as_the_result_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_DIVERGE", "1e-4")
    folder = tmp_path / "small"
    assert run(small_study(tmp_path, "systems: {a: {schedule: pld}, b: {schedule: pld}}\n", lr="1e-3"), folder) == 0
    told = records(folder, "told")
    assert told[0]["values"] == told[1]["values"]
    assert told[1]["constraints"] == {"divergence/diverged": 1.0}
    assert len(records(folder, "launched")) == 1
