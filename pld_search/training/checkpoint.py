"""Checkpoints: folders that are either whole or not there.

`step-00000100/` holds `config.json` and `model.safetensors` (readable by `from_pretrained`), `training.pt` (optimizer,
scaler, counters; plain values and tensors only) and, written last, `manifest.json` with the size and SHA-256 of each.
In that of several ranks the optimizer is a folder, with a file of every rank (parallel/moments.py). A checkpoint is
built in a hidden folder, flushed to the disk and renamed, so a kill or a full disk at any moment leaves the earlier
ones as they were; one whose manifest does not match is never taken.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pld_search.errors import CheckpointError
from pld_search.host.disk import file_entry, flush, write_atomically

MANIFEST = "manifest.json"
TRAINING = "training.pt"
_NAME = re.compile(r"step-(\d{8,})")
PARTIAL = ".partial-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One whole checkpoint: the completed steps it was taken after, and its folder."""

    step: int
    folder: Path

    def training(self) -> dict[str, Any]:
        """What `save` was given, tensors on the CPU. Raises CheckpointError where it cannot be read."""
        try:
            state: dict[str, Any] = torch.load(self.folder / TRAINING, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for one broken file
            raise CheckpointError(f"{self.folder / TRAINING} cannot be read: {_first_line(error)}") from error
        return state


def folder_name(step: int) -> str:
    """`step-00000100` after 100 completed steps: names sort as steps do."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int | None:
    """The completed steps after which a checkpoint's folder was written, by its name; None for a folder of another
    name.
    """
    match = _NAME.fullmatch(folder.name)
    return None if match is None else int(match[1])


def save(
    root: Path,
    step: int,
    training: dict[str, Any],
    write_model: Callable[[Path], None],
    *,
    keep: int,
    held: Collection[int] = (),
) -> Checkpoint:
    """Write `root/step-NNNNNNNN` at once or not at all, then remove all but the newest `keep` and those of the steps
    `held`.

    `write_model(folder)` puts the model's files into the folder it is given. Raises CheckpointError in one line (disk
    full, folder not writable ...); the earlier checkpoints are then untouched.
    """
    target = root / folder_name(step)
    partial = root / f"{PARTIAL}{step:08d}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write_model(partial)
        torch.save(training, partial / TRAINING)
        _seal(partial)
        shutil.rmtree(target, ignore_errors=True)  # only a corrupt one of this step can be in the way
        partial.rename(target)
        flush(root)
    except Exception as error:  # safetensors and torch raise their own kinds for a full disk
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint of step {step} could not be written to {root}: {_first_line(error)}"
        ) from error
    _prune(root, keep, held)
    return Checkpoint(step, target)


def latest(root: Path, before: int | None = None) -> Checkpoint | None:
    """The newest whole checkpoint of a run (of a step below `before`), or None. Half-written and corrupt ones are
    passed over.
    """
    for step, folder in _all(root):
        if (before is None or step < before) and intact(folder):
            return Checkpoint(step, folder)
    return None


def at(root: Path, step: int) -> Checkpoint | None:
    """The checkpoint of one step if it is there and whole."""
    folder = root / folder_name(step)
    return Checkpoint(step, folder) if intact(folder) else None


def adopt(saved: Checkpoint, root: Path) -> Checkpoint:
    """The same checkpoint in another run's `root`, its files shared by hard links: no copy, and deleting either leaves
    the other.

    Raises CheckpointError.
    """
    target, partial = root / saved.folder.name, root / f"{PARTIAL}{saved.step:08d}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(saved.folder, partial, copy_function=_link)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        flush(root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"{saved.folder} could not be taken over to {root}: {_first_line(error)}") from error
    return Checkpoint(saved.step, target)


def _link(source: str, target: str) -> None:
    """Files of a checkpoint never change once they are there; a file system without hard links gets a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def steps_of(root: Path) -> list[int]:
    """The steps of everything that is named like a checkpoint, newest first."""
    return [step for step, _ in _all(root)]


def discard_after(root: Path, step: int) -> None:
    """Checkpoints of later steps go: the run takes another way from `step` on. Raises CheckpointError where
    they stay.
    """
    for later, folder in _all(root):
        if later > step:
            (folder / MANIFEST).unlink(missing_ok=True)  # first what makes it whole, in case the rest is interrupted
            shutil.rmtree(folder, ignore_errors=True)


def intact(folder: Path) -> bool:
    """Whether a checkpoint is complete and every file is what its manifest says."""
    try:
        files: dict[str, dict[str, Any]] = json.loads((folder / MANIFEST).read_text())["files"]
        return TRAINING in files and all(file_entry(folder / name) == expected for name, expected in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _all(root: Path) -> list[tuple[int, Path]]:
    """(step, folder) of everything that is named like a checkpoint, newest first."""
    if not root.is_dir():
        return []
    found = [(step, folder) for folder in root.iterdir() if (step := step_of(folder)) is not None]
    return sorted(found, reverse=True)


def _prune(root: Path, keep: int, held: Collection[int]) -> None:
    """Old checkpoints, and what a killed writer left, go; a failure to delete costs disk space, not the run."""
    for step, folder in _all(root)[keep:]:
        if step not in held:
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in root.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Flush every file, then write the manifest over them: its presence says that the rest is on the disk."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for name in names:
        flush(folder / name)
    manifest = {"files": {name: file_entry(folder / name) for name in names}}
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
    for inner in (path for path in folder.iterdir() if path.is_dir()):
        flush(inner)
    flush(folder)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
