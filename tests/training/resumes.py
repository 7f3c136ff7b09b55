"""Resumes before, at and after the boundaries of a run in stages, against the run that nothing disturbed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pld_search.records.run_record import RunRecord
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import precision
from pld_search.training.train_run import train
from tests.training.test_resume import SCALE

KILLED_AT, CUTS = 8, (4, 12, 16)
"""Where the run in `killed` goes on (stages begin at 8 and 16), and where copies of the undisturbed one are made to."""


def resumed_around(
    spec: Experiment, how: Execution, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[RunRecord, list[tuple[Path, RunRecord]]]:
    """The undisturbed run and the folders and records of the resumed ones, `folder`/killed among them: equal series,
    weights, moments and loss scale.
    """
    monkeypatch.setattr(precision, "INITIAL_SCALE", SCALE[0])
    monkeypatch.setattr(precision, "GROWTH_INTERVAL", SCALE[1])
    straight = train(spec, how, folder / "straight")
    for cut in CUTS:
        lost(folder / "straight", folder / f"lost{cut}", cut)
    resumed = {KILLED_AT: folder / "killed", **{cut: folder / f"lost{cut}" for cut in CUTS}}
    found = []
    for cut, out in resumed.items():
        again = train(spec, how, out)
        assert again.resumed_from == [cut]
        assert again.series == straight.series
        assert_same_weights_and_moments(out, folder / "straight", (12, 16, spec.steps))
        found.append((out, again))
    return straight, found


def lost(run: Path, copy_of: Path, cut: int) -> None:
    """A copy of a run as it was three steps after the checkpoint of step `cut`, when its process was lost."""
    shutil.copytree(run, copy_of)
    for folder in (copy_of / "checkpoints").iterdir():
        if int(folder.name.removeprefix("step-")) > cut:
            shutil.rmtree(folder)
    lines = [
        line
        for line in (run / "events.jsonl").read_text().splitlines(keepends=True)
        if json.loads(line)["step"] <= cut + 3
    ]
    (copy_of / "events.jsonl").write_text(
        "".join(line for line in lines if json.loads(line)["event"] != "checkpoint" or json.loads(line)["step"] <= cut)
    )


def assert_same_weights_and_moments(one: Path, other: Path, steps: tuple[int, ...]) -> None:
    for step in steps:
        folders = [run / "checkpoints" / f"step-{step:08d}" for run in (one, other)]
        weights = [load_file(folder / "model.safetensors") for folder in folders]
        assert same(*weights)
        first, second = (torch.load(folder / "training.pt", weights_only=True) for folder in folders)
        moments = first["optimizer"]["state"], second["optimizer"]["state"]
        assert moments[0].keys() == moments[1].keys() and moments[0]
        assert all(same(held, moments[1][index]) for index, held in moments[0].items())
        assert first["scaler"] == second["scaler"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
