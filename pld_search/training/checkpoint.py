"""Checkpoints: folders that are either complete or absent.

`step-00000100/` holds `config.json` and `model.safetensors` (readable by `from_pretrained`), `training.pt` (optimizer,
scaler, counters; plain values and tensors only) and `manifest.json` with the size and SHA-256 of each file, which is
written last. A checkpoint of several ranks has a folder for the optimizer instead, with a file for every rank
(parallel/optimizer_state.py). A checkpoint is built in a hidden folder, flushed to the disk and renamed, so a kill or a
full disk at any moment leaves the earlier checkpoints unchanged. A checkpoint whose manifest does not match is never
loaded.
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
    """One complete checkpoint: the number of completed steps, and its folder."""

    step: int
    folder: Path

    def training(self) -> dict[str, Any]:
        """Returns the state that was given to `save`, with tensors on the CPU. Raises CheckpointError if it cannot be
        read.
        """
        try:
            state: dict[str, Any] = torch.load(self.folder / TRAINING, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises exceptions of many classes for a broken file
            raise CheckpointError(f"{self.folder / TRAINING} cannot be read: {_first_line(error)}") from error
        return state


def folder_name(step: int) -> str:
    """Returns `step-00000100` for 100 completed steps: names sort like steps."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int | None:
    """Returns the completed steps in the name of a checkpoint's folder; None for any other name."""
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
    """Writes `root/step-NNNNNNNN` completely or not at all, then deletes all checkpoints except the newest `keep` and
    the steps `held`.

    `write_model(folder)` writes the model's files into the given folder. Raises CheckpointError in one line (disk full,
    folder not writable ...); the earlier checkpoints are then unchanged.
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
        shutil.rmtree(target, ignore_errors=True)  # only a corrupt checkpoint of this step can be there
        partial.rename(target)
        flush(root)
    except Exception as error:  # safetensors and torch raise exceptions of their own for a full disk
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint of step {step} could not be written to {root}: {_first_line(error)}"
        ) from error
    _prune(root, keep, held)
    return Checkpoint(step, target)


def latest(root: Path, before: int | None = None) -> Checkpoint | None:
    """Returns the newest complete checkpoint of a run (of a step below `before`), or None. Skips partial and corrupt
    checkpoints.
    """
    for step, folder in _all_checkpoints(root):
        if (before is None or step < before) and intact(folder):
            return Checkpoint(step, folder)
    return None


def at(root: Path, step: int) -> Checkpoint | None:
    """Returns the checkpoint of one step if it exists and is complete, else None."""
    folder = root / folder_name(step)
    return Checkpoint(step, folder) if intact(folder) else None


def adopt(saved: Checkpoint, root: Path) -> Checkpoint:
    """Returns the same checkpoint in another run's `root`. The files are hard links, so nothing is copied, and deleting
    one checkpoint does not affect the other.

    Raises CheckpointError if this fails.
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
    """Links a file of a checkpoint, which never changes once written; copies it if there are no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def steps_of(root: Path) -> list[int]:
    """Returns the steps of all folders that are named like a checkpoint, newest first."""
    return [step for step, _ in _all_checkpoints(root)]


def discard_after(root: Path, step: int) -> None:
    """Deletes the checkpoints of steps after `step`, from which the run continues in another way. Raises OSError if a
    manifest cannot be deleted.
    """
    for later, folder in _all_checkpoints(root):
        if later > step:
            (folder / MANIFEST).unlink(missing_ok=True)  # the manifest first: a deletion cut short leaves no checkpoint
            shutil.rmtree(folder, ignore_errors=True)


def intact(folder: Path) -> bool:
    """Returns whether a checkpoint is complete and every file matches the manifest."""
    try:
        files: dict[str, dict[str, Any]] = json.loads((folder / MANIFEST).read_text())["files"]
        return TRAINING in files and all(file_entry(folder / name) == expected for name, expected in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _all_checkpoints(root: Path) -> list[tuple[int, Path]]:
    """Returns (step, folder) of all folders that are named like a checkpoint, newest first."""
    if not root.is_dir():
        return []
    found = [(step, folder) for folder in root.iterdir() if (step := step_of(folder)) is not None]
    return sorted(found, reverse=True)


def _prune(root: Path, keep: int, held: Collection[int]) -> None:
    """Deletes old checkpoints and the remains of killed writers; a deletion that fails costs disk space only."""
    for step, folder in _all_checkpoints(root)[keep:]:
        if step not in held:
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in root.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Flushes every file, then writes the manifest: its presence means that all other files are on the disk."""
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
