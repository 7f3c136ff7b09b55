"""The journal for the Optuna dashboard, from a study that was recorded: what a reader of it finds."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from pld_search.errors import StudyError
from pld_search.records.study_record import view
from pld_search.search.optuna.dashboard import JOURNAL, write_dashboard

RECORDED = Path(__file__).parent.parent.parent / "recorded"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(RECORDED / "finished", tmp_path / "finished")
    return tmp_path / "finished"


def opened(place: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(place)))
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


def test_trials_are_the_reports(folder: Path) -> None:
    study, seen = opened(write_dashboard(folder)), view(folder)
    sampled = [trial for trial in seen.study.trials.values() if trial.asked.sampler_study is not None]
    assert study.metric_names == ["valid/loss"]
    assert len(study.trials) == len(sampled) == 2
    for shown, trial in zip(study.trials, sampled, strict=True):
        assert trial.told is not None and shown.values == list(trial.told.values or ())
        assert shown.params == dict(trial.asked.params)
        assert shown.user_attrs["trial"] == trial.number
        assert Path(shown.user_attrs["folder"]) == folder / "trials" / f"{trial.number:04d}"
        assert list(shown.constraints.values()) == [0.0]
        assert shown.user_attrs["constraint divergence/diverged"] == 0.0
        assert list(shown.intermediate_values) == [step for step, _ in seen.runs[trial.number, 0].series["valid/loss"]]
        assert shown.intermediate_values[max(shown.intermediate_values)] == pytest.approx(shown.value)


def test_systems_are_the_note_and_again_is_the_same(folder: Path) -> None:
    place = write_dashboard(folder)
    study = opened(place)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    note = attributes["dashboard:note_str:0"]
    assert "| system | trial | schedule | valid/loss |" in note
    assert "| full | 0 | full |" in note and "| pld | 1 | pld |" in note
    assert len(opened(write_dashboard(folder)).trials) == 2
    assert place == folder / JOURNAL


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        write_dashboard(tmp_path)
