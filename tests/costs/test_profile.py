"""Profiles as values and as files: what tells them apart, and what a damaged one says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pld_search.costs.profile import architecture_digest, setting_of
from pld_search.costs.profile_store import KnownProfiles, StoredProfiles, profiles_folder, read_profile, store_profile
from pld_search.errors import DataError
from pld_search.specs.execution import Execution
from tests.costs.examples import BATCH, DATA, MODEL
from tests.costs.profiles import ARCHITECTURE, SETTING, profile


def test_an_architecture_is_its_shapes() -> None:
    digest = architecture_digest(MODEL, DATA, BATCH, "fp32")
    same = [
        architecture_digest(MODEL.model_copy(update={"init_std": 0.5, "embedding_std": 0.5}), DATA, BATCH, "fp32"),
        architecture_digest(MODEL.model_copy(update={"dropout": MODEL.dropout / 2}), DATA, BATCH, "fp32"),
        architecture_digest(MODEL, DATA.model_copy(update={"corpus": "sha256:" + "7" * 64}), BATCH, "fp32"),
    ]
    assert set(same) == {digest}
    others = [
        *(
            architecture_digest(MODEL.model_copy(update={name: value}), DATA, BATCH, "fp32")
            for name, value in _changes()
        ),
        architecture_digest(MODEL, DATA.model_copy(update={"length": 2 * DATA.length}), BATCH, "fp32"),
        architecture_digest(MODEL, DATA, BATCH.model_copy(update={"sequences": 2 * BATCH.sequences}), "fp32"),
        architecture_digest(MODEL, DATA, BATCH, "fp16"),
    ]
    assert len({digest, *others}) == 1 + len(others)


def _changes() -> list[tuple[str, object]]:
    norm = "post" if MODEL.norm == "pre" else "pre"
    return [
        ("layers", 9),
        ("hidden", 2 * MODEL.hidden),
        ("intermediate", 48),
        ("norm", norm),
        ("vocabulary", 2 * MODEL.vocabulary),
        ("dropout", 0.0),
    ]


def test_stored_and_found_again_in_its_setting_only(tmp_path: Path) -> None:
    folder = profiles_folder(tmp_path)
    path = store_profile(folder, profile())
    assert read_profile(path) == profile()
    assert StoredProfiles(folder, SETTING).find(ARCHITECTURE) == profile()
    assert StoredProfiles(folder, SETTING).find("sha256:" + "b" * 64) is None
    others = {
        "threads": 2,
        "device": "another",
        "compile": True,
        "micro_batch": 4,
        "activation_checkpointing": 2,
        "versions": {"pld_search": "0", "torch": "1"},
    }
    for change in ({name: value} for name, value in others.items()):
        assert StoredProfiles(folder, SETTING.model_copy(update=change)).find(ARCHITECTURE) is None, change
    assert KnownProfiles().find(ARCHITECTURE) is None
    assert KnownProfiles({ARCHITECTURE: profile()}).find(ARCHITECTURE) == profile()


WHOLE = profile().model_dump_json()


@pytest.mark.parametrize("text", ["", "{}", "not json", WHOLE.replace("0.15", "-0.15"), WHOLE.replace("0.15", "NaN")])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = store_profile(tmp_path, profile())
    path.write_text(text)
    with pytest.raises(DataError, match=r"delete it and run `pld-search plan STUDY --calibrate`"):
        StoredProfiles(tmp_path, SETTING).find(ARCHITECTURE)


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    path = store_profile(tmp_path, profile())
    moved = path.rename(tmp_path / f"{'0' * 64}.json")
    with pytest.raises(DataError, match="another architecture or machine"):
        read_profile(moved)


def test_what_people_read() -> None:
    assert profile().said == "cpu (a test, 2 cores), 1 thread, measured 2026-03-01 12:30"
    assert profile().memory_gb == 2.0
    assert profile().seconds_per_layer == 0.25


def test_a_setting_is_how_it_runs_and_not_where_things_lie() -> None:
    one = Execution(threads=2, folders={"sha256:" + "0" * 64: "/a"}, log_points=3)
    other = Execution(threads=2, checkpoint_seconds=7.0)
    assert setting_of(one, "x") == setting_of(other, "x")
    assert setting_of(one, "x") != setting_of(one.model_copy(update={"compile": True}), "x")


def test_no_negative_times() -> None:
    with pytest.raises(ValidationError):
        profile(seconds_fixed=-1.0)
