"""A study goes on elsewhere from its packed records: what has ended is not trained again, the rest is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pld_search.records.packed_records import pack, unpack
from pld_search.records.study_record import view
from tests.search.in_process import InProcess
from tests.search.studies import run, small_study


def launched(study_folder: Path, tmp_path: Path, sets: tuple[str, ...] = ()) -> list[str]:
    """Which runs a coordinator launches until the study is done, as `trials/0000/seed-0`."""
    launcher = InProcess()
    assert run(small_study(tmp_path, sets=sets), study_folder, launcher=launcher) == 0
    return [folder.relative_to(study_folder).as_posix() for folder, _, _ in launcher.launched]


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    """A study that has ended."""
    assert len(launched(tmp_path / "here", tmp_path)) == 9
    return tmp_path / "here"


def test_a_study_that_has_ended_trains_nothing_elsewhere(tmp_path: Path, ended: Path) -> None:
    pack(ended, tmp_path / "records", {})
    assert unpack(tmp_path / "records", tmp_path / "there") == 9
    assert launched(tmp_path / "there", tmp_path) == []
    finals = [[run.final for _, run in sorted(view(folder).runs.items())] for folder in (ended, tmp_path / "there")]
    assert finals[0] == finals[1]


def test_more_seeds_elsewhere_train_only_these(tmp_path: Path, ended: Path) -> None:
    pack(ended, tmp_path / "records", {})
    unpack(tmp_path / "records", tmp_path / "there")
    assert launched(tmp_path / "there", tmp_path, ("systems.full.seeds=3",)) == ["trials/0000/seed-2"]


def test_a_run_that_was_under_way_is_trained_again_from_its_start(tmp_path: Path, ended: Path) -> None:
    lines = (ended / "study.jsonl").read_text().splitlines()
    ends = [number for number, line in enumerate(lines) if json.loads(line)["event"] == "exited"]
    (ended / "study.jsonl").write_text("\n".join(lines[: ends[2]]) + "\n")  # the third run was launched, and no more
    assert pack(ended, tmp_path / "records", {}).total == 2
    assert unpack(tmp_path / "records", tmp_path / "there") == 2
    again = launched(tmp_path / "there", tmp_path)
    assert len(again) == 7 and again[0] not in [f"trials/0000/seed-{seed}" for seed in range(2)]
    assert all(record.state == "finished" for record in view(tmp_path / "there").runs.values())
