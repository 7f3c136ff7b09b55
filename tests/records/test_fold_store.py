"""Folds kept beside a study: equal to those of the events, read without them, never believed when they are stale."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from pld_search.records import fold_store, run_record
from pld_search.records.events import (
    RunAnalysed,
    RunDiverged,
    RunFinished,
    RunPaused,
    RunProgress,
    RunStarted,
    RunValidated,
)
from pld_search.records.fold_store import LEAST, STORE, FoldStore
from pld_search.records.layer_analysis import LayerAnalysis
from pld_search.records.run_record import ANALYSIS, RunRecord, RunWriter, fold_run

EXPERIMENT = {"steps": 40, "schedule": {"name": "pld"}, "seed": 3}


def write_run(folder: Path, number: int) -> None:
    log = RunWriter(folder / "events.jsonl")
    log.emit(RunStarted(0, experiment=EXPERIMENT, seed=3, execution={"threads": 1}, corpus={"words": number}))
    for step in (10, 20):
        log.emit(RunProgress(step, metrics={"train/loss": 9.0 - step}, timing={"progress/seconds": step / 7}))
    if number % 3 == 0:
        log.emit(RunDiverged(20, reason="the loss exploded", kind="spike", first_bad_step=19))
    elif number % 3 == 1:
        log.emit(RunPaused(20, until=20))
    else:
        log.emit(RunValidated(40, metrics={"valid/loss": number + 0.1}))
        log.emit(RunFinished(40, metrics={"saved/flops": 0.25}, timing={"progress/tflop": 4.0}))
    log.close()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for number in range(LEAST + 2):
        write_run(tmp_path / f"trials/{number:04d}/seed-0", number)
    return tmp_path


def runs(study: Path) -> list[Path]:
    return sorted((study / "trials").glob("*/*"))


def read(study: Path) -> dict[Path, RunRecord]:
    """What a new process finds."""
    store = FoldStore(study)
    found = {folder: store.run(folder) for folder in runs(study)}
    store.keep()
    return found


def assert_folds(found: dict[Path, RunRecord]) -> None:
    for folder, record in found.items():
        whole = fold_run(folder)
        for field in fields(RunRecord):
            assert getattr(record, field.name) == getattr(whole, field.name), field.name
        assert record.experiment_tree == EXPERIMENT and record.seed == 3


def no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(run_record, "read_run_events", refuse)


def test_a_second_reader_finds_every_field_and_reads_events_for_points_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_folds(read(study))
    run_record._folded.cache_clear()
    with monkeypatch.context() as patch:
        no_events(patch)
        found = read(study)
        assert [record.state for record in found.values()][:3] == ["diverged", "paused", "finished"]
        assert [record.final["progress/seconds"] for record in found.values()] == [20 / 7] * len(found)
        assert all(record.schedule.label == "pld" and record.losses == {} for record in found.values())
        with pytest.raises(AssertionError, match="was read"):
            _ = next(iter(found.values())).series
    assert_folds(found)
    with pytest.raises(AttributeError):
        _ = next(iter(found.values())).nothing_of_this_name  # type: ignore[attr-defined]


def test_what_changed_since_is_folded_again(study: Path) -> None:
    read(study)
    folder = runs(study)[1]
    log = RunWriter(folder / "events.jsonl")
    log.emit(RunStarted(20, experiment=EXPERIMENT, seed=3))
    log.emit(RunFinished(40, metrics={"valid/loss": 1.0}))
    log.close()
    found = read(study)
    assert (found[folder].state, found[folder].attempt) == ("finished", 2)
    assert_folds(found)


def test_an_analysis_that_was_asked_for_later_is_folded_again(study: Path) -> None:
    read(study)
    folder = runs(study)[2]
    looked = LayerAnalysis(4, 5.0, {"block": [1.0, 2.0]}, [1.0] * 2, [0.5] * 2, [0.5], [5.5, 5.2], 0.5)
    log = RunWriter(folder / ANALYSIS / "events.jsonl")
    log.emit(RunAnalysed(40, found=looked.record()))
    log.close()
    found = read(study)
    assert [step for step, _ in found[folder].analyses] == [40]
    assert_folds(found)


@pytest.mark.parametrize("damage", ["line", "stamp", "torn", "text", "field"])
def test_a_damaged_store_is_ignored_and_mended(study: Path, damage: str) -> None:
    read(study)
    path = study / STORE
    data = path.read_bytes()
    path.write_bytes(
        {
            "line": data.replace(b'"state":"diverged"', b'"state:"diverged"'),
            "stamp": data.replace(b'"format":3', b'"format":0'),
            "torn": data[:-5],
            "text": b"\xff\x00 no JSON",
            "field": data.replace(b'"attempt":1,', b""),
        }[damage]
    )
    assert_folds(read(study))
    if damage in ("stamp", "torn", "text"):
        assert path.read_bytes() == data


def test_few_runs_are_not_worth_a_file(tmp_path: Path) -> None:
    write_run(tmp_path / "trials/0000/seed-0", 0)
    assert_folds(read(tmp_path))
    assert not (tmp_path / STORE).exists()


def test_where_nothing_can_be_written_nothing_is_kept(study: Path) -> None:
    (study / STORE).mkdir()
    assert_folds(read(study))
    assert (study / STORE).is_dir()


def test_a_study_has_one_store_in_a_process(study: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert fold_store.fold_store(study) is fold_store.fold_store(study)
    assert fold_store.fold_store(study) is not fold_store.fold_store(tmp_path_factory.mktemp("other"))
