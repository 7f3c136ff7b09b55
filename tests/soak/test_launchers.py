"""The real trainer through every launcher: the same losses wherever its two ranks run, and a study that moves between launchers and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pld_search.records import jsonl
from pld_search.records.study import view
from tests.search.launchers.clusters import cluster
from tests.search.real_studies import StopAt, losses, outcomes, ranks, real_study, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]
TWO = {"gpus_per_run": 2}


def test_two_ranks_have_the_same_losses_here_and_through_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = real_study(tmp_path, 20)
    assert run(study, tmp_path / "here", TWO, monkeypatch) == 0
    with cluster(2) as nodes:
        assert run(study, tmp_path / "ray", {**TWO, "launcher": "ray", "ray": {"address": nodes.address}}, monkeypatch) == 0
    assert ranks(tmp_path / "here") == ranks(tmp_path / "ray") == {2}
    assert losses(tmp_path / "here") == losses(tmp_path / "ray")


def test_a_study_moves_between_launchers_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun here, stopped within its first run, moved, continued by Ray, stopped within its second, ended here: as if nothing had been."""
    steps = 600
    study, often = real_study(tmp_path, steps), {"log_points": 100}
    assert run(study, tmp_path / "straight", often, monkeypatch) == 0
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(study, first, often, monkeypatch, StopAt(0, 60)) == 143
    first.rename(second)
    with cluster(1) as nodes:
        assert run(study, second, {**often, "launcher": "ray", "ray": {"address": nodes.address}}, monkeypatch, StopAt(1, 60)) == 143
    assert run(study, second, often, monkeypatch) == 0
    assert outcomes(second) == ["stopped", "finished", "stopped", "finished"]
    assert [record["launcher"] for record in jsonl.read(second / "study.jsonl") if record["event"] == "launched"] == ["local", "ray", "ray", "local"]
    for record in view(second).runs.values():
        assert len(record.resumed_from) == 1
        assert 60 <= record.resumed_from[0] < steps
        assert record.executed_steps == steps  # a stop ends in a checkpoint: nothing was done twice
    assert losses(second) == losses(tmp_path / "straight")
