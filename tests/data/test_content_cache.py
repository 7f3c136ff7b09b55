from __future__ import annotations

import json
from pathlib import Path

import pytest

from pld_search.data import content_cache
from pld_search.errors import DataError
from pld_search.host.disk import file_digest

DIGEST = "sha256:" + "a" * 64


def build(folder: Path, content: str = "content") -> str:
    (folder / "data.bin").write_text(content)
    content_cache.write_manifest(folder, {"note": 1}, ["data.bin"])
    return DIGEST


def never(folder: Path) -> str:
    raise AssertionError("built again")


def test_a_build_is_made_once_and_found_by_its_input(tmp_path: Path) -> None:
    folder = content_cache.obtain(tmp_path, {"in": 1}, build)
    assert folder == tmp_path / ("a" * 64)
    assert content_cache.obtain(tmp_path, {"in": 1}, never) == folder
    manifest = content_cache.read_manifest(folder)
    assert manifest["note"] == 1
    assert manifest["files"]["data.bin"] == {"bytes": 7, "sha256": file_digest(folder / "data.bin")}


def test_another_input_with_the_same_content_shares_the_folder(tmp_path: Path) -> None:
    first = content_cache.obtain(tmp_path, 1, build)
    kept = first.stat().st_ino
    assert content_cache.obtain(tmp_path, 2, build) == first
    assert first.stat().st_ino == kept


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> str:
        (folder / "data.bin").write_text("half")
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        content_cache.obtain(tmp_path, 1, fail)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locks"]


@pytest.mark.parametrize("damage", ["data.bin", "manifest.json", "folder", "cut", "index"])
def test_what_was_damaged_is_built_again(tmp_path: Path, damage: str) -> None:
    folder = content_cache.obtain(tmp_path, 1, build)
    if damage == "folder":
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    elif damage == "cut":
        (folder / "data.bin").write_text("con")
    elif damage == "index":
        next((tmp_path / "index").iterdir()).write_text("{")
    else:
        (folder / damage).unlink()
    assert content_cache.obtain(tmp_path, 1, build) == folder
    assert content_cache.is_whole(folder)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_build_finds_its_own_folder_again(tmp_path: Path, error: BaseException) -> None:
    def interrupted(folder: Path) -> str:
        (folder / "part").write_text("half")
        raise error

    def rest(folder: Path) -> str:
        assert (folder / "part").read_text() == "half"
        (folder / "part").unlink()
        return build(folder)

    with pytest.raises(type(error)):
        content_cache.obtain(tmp_path, 1, interrupted)
    folder = content_cache.obtain(tmp_path, 1, rest)
    assert content_cache.is_whole(folder)
    assert not list(tmp_path.glob("building-*"))


@pytest.mark.parametrize("text", [None, "{", "[]", json.dumps({"files": 3})])
def test_a_folder_without_a_proper_manifest_is_not_whole(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    assert not content_cache.is_whole(tmp_path)


def test_damage_of_the_same_size_is_found_once_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = content_cache.obtain(tmp_path, 1, build)
    (folder / "data.bin").write_text("damaged")
    assert content_cache.obtain(tmp_path, 1, never) == folder  # built here: sizes only
    monkeypatch.setattr(content_cache.socket, "gethostname", lambda: "another")
    told: list[str] = []
    assert content_cache.obtain(tmp_path, 1, build, told.append) == folder
    assert told == [f"{folder}: data.bin is not as it was built; building it again"]
    assert (folder / "data.bin").read_text() == "content"
    assert content_cache.obtain(tmp_path, 1, never, told.append) == folder
    assert len(told) == 1


def test_what_doctor_finds_damaged_is_built_again_here_too(tmp_path: Path) -> None:
    folder = content_cache.obtain(tmp_path, 1, build)
    assert [content_cache.damaged(each) for each in content_cache.builds(tmp_path)] == [()]
    (folder / "data.bin").write_text("damaged")
    assert content_cache.damaged(folder) == ("data.bin",)
    content_cache.obtain(tmp_path, 1, build)
    assert (folder / "data.bin").read_text() == "content"
