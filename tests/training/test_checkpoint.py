"""Checkpoints are whole or not there, whatever happens while they are written, and whatever happens to them
afterwards.
"""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pld_search.errors import CheckpointError
from pld_search.training.checkpoint import MANIFEST, TRAINING, adopt, at, intact, latest, save


def write_model(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    save_file({"weight": torch.arange(4096.0)}, folder / "model.safetensors")


def training(step: int) -> dict[str, object]:
    return {"step": step, "optimizer": {"state": {0: {"exp_avg": torch.full((4096,), float(step))}}}, "scaler": {}}


def put(root: Path, *steps: int, keep: int = 10) -> None:
    for step in steps:
        save(root, step, training(step), write_model, keep=keep)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    put(tmp_path / "new", 5)
    saved = latest(tmp_path / "new")
    assert saved is not None
    assert saved.step == 5
    state = saved.training()
    assert state["step"] == 5
    assert torch.equal(state["optimizer"]["state"][0]["exp_avg"], torch.full((4096,), 5.0))


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    assert latest(tmp_path / "none") is None


def test_the_newest_are_kept(tmp_path: Path) -> None:
    put(tmp_path, 1, 2, 30, 4, keep=2)
    assert names(tmp_path) == ["step-00000004", "step-00000030"]


def test_those_held_stay_beside_the_newest(tmp_path: Path) -> None:
    put(tmp_path, 1, 2, 3)
    save(tmp_path, 4, training(4), write_model, keep=1, held=[2])
    assert names(tmp_path) == ["step-00000002", "step-00000004"]


@pytest.mark.parametrize("links", [True, False])
def test_one_taken_over_lives_on_without_its_first_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    put(tmp_path / "one", 3)
    saved = at(tmp_path / "one", 3)
    assert saved is not None and at(tmp_path / "one", 4) is None
    if not links:
        monkeypatch.setattr(os, "link", full_disk)
    taken = adopt(saved, tmp_path / "other")
    assert ((taken.folder / TRAINING).stat().st_nlink == 2) == links
    shutil.rmtree(tmp_path / "one")
    assert latest(tmp_path / "other") == taken and intact(taken.folder)


def test_one_that_cannot_be_taken_over(tmp_path: Path) -> None:
    put(tmp_path / "one", 3)
    (tmp_path / "file").write_text("")
    saved = at(tmp_path / "one", 3)
    assert saved is not None
    with pytest.raises(CheckpointError, match="could not be taken over"):
        adopt(saved, tmp_path / "file")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, remove, empty])
@pytest.mark.parametrize("name", ["model.safetensors", TRAINING, MANIFEST, "config.json"])
def test_a_damaged_one_is_passed_over(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    put(tmp_path, 1, 2)
    damage(tmp_path / "step-00000002" / name)
    assert not intact(tmp_path / "step-00000002")
    saved = latest(tmp_path)
    assert saved is not None and saved.step == 1


@pytest.mark.parametrize("manifest", ["[]", "{}", '{"files": []}', '{"files": {}}', "null"])
def test_a_manifest_that_says_nothing_proves_nothing(tmp_path: Path, manifest: str) -> None:
    put(tmp_path, 1)
    (tmp_path / "step-00000001" / MANIFEST).write_text(manifest)
    assert latest(tmp_path) is None


def test_a_damaged_one_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    put(tmp_path, 1, 2)
    remove(tmp_path / "step-00000002" / TRAINING)
    put(tmp_path, 2)
    saved = latest(tmp_path)
    assert saved is not None and saved.step == 2


def test_what_a_killed_writer_left_is_never_taken_and_goes(tmp_path: Path) -> None:
    put(tmp_path, 1)
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".partial-00000002")
    saved = latest(tmp_path)
    assert saved is not None and saved.step == 1
    put(tmp_path, 3)
    assert names(tmp_path) == ["step-00000001", "step-00000003"]


def full_disk(*arguments: object, **named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(os, "fsync"), (torch, "save"), (Path, "write_text"), (Path, "rename"), (Path, "mkdir"), (hashlib, "file_digest")],
)
def test_a_full_disk_at_any_point_leaves_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    put(tmp_path, 1)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, full_disk)
        with pytest.raises(
            CheckpointError, match=r"checkpoint of step 2 could not be written .*No space left on device"
        ) as caught:
            put(tmp_path, 2)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["step-00000001"]
    saved = latest(tmp_path)
    assert saved is not None and saved.step == 1


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A real failure inside the C++ writers: the kernel refuses what goes beyond `size` bytes a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [100, 16_500])  # too small for the model; too small for training.pt only
def test_a_write_that_the_system_refuses(tmp_path: Path, size: int) -> None:
    put(tmp_path, 1)
    with files_of_at_most(size), pytest.raises(CheckpointError, match="could not be written"):
        put(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001"]


def test_a_place_that_cannot_hold_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        put(tmp_path / "file", 1)


def test_nothing_but_plain_values_is_read(tmp_path: Path) -> None:
    save(tmp_path, 1, {"code": os.system}, write_model, keep=1)
    saved = latest(tmp_path)
    assert saved is not None
    with pytest.raises(CheckpointError, match="cannot be read"):
        saved.training()
