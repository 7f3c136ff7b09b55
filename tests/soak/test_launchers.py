"""The real trainer through every launcher: the same losses wherever its two ranks run, and a study that moves between
launchers and folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pld_search.records import jsonl
from pld_search.records.study_record import view
from tests.search.launchers.clusters import Nodes, cluster
from tests.search.launchers.controllers import slurm
from tests.search.real_studies import StopAt, losses, outcomes, ranks, real_study, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]
TWO = {"gpus_per_run": 2}


def ray(head: Nodes, **more: Any) -> dict[str, Any]:
    return {"launcher": "ray", "ray": {"address": head.address, **more}}


def test_two_ranks_have_the_same_losses_here_and_on_a_ray_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = real_study(tmp_path, 20)
    assert run(study, tmp_path / "here", TWO, monkeypatch) == 0
    with cluster(2) as nodes:
        assert run(study, tmp_path / "ray", {**TWO, **ray(nodes)}, monkeypatch) == 0
        nodes.add()
        assert run(study, tmp_path / "nodes", {**TWO, **ray(nodes, nodes=2)}, monkeypatch) == 0
    for name in ("here", "ray", "nodes"):
        assert ranks(tmp_path / name) == {2}
        assert outcomes(tmp_path / name) == ["finished", "finished"]
        assert losses(tmp_path / name) == losses(tmp_path / "here")


def test_two_ranks_have_the_same_losses_here_and_in_a_job_of_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = real_study(tmp_path, 20)
    with slurm(2):
        assert run(study, tmp_path / "slurm", {**TWO, "launcher": "slurm"}, monkeypatch) == 0
    assert run(study, tmp_path / "here", TWO, monkeypatch) == 0
    assert ranks(tmp_path / "slurm") == {2}
    assert outcomes(tmp_path / "slurm") == ["finished", "finished"]
    assert losses(tmp_path / "slurm") == losses(tmp_path / "here")


class LoseANode:
    """An observer that takes a node away once the first run has come to a step, after another was added."""

    def __init__(self, nodes: Nodes, step: int) -> None:
        self._nodes, self._step, self._node = nodes, step, nodes.add()

    def notice(self, folder: Path) -> None:
        record = view(folder).runs.get((0, 0))
        if self._node is not None and record is not None and record.step >= self._step:
            self._nodes.add()
            self._nodes.lose(self._node)
            self._node = None

    def close(self, folder: Path) -> None:
        assert self._node is None


def test_a_run_over_two_nodes_goes_on_where_one_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, manner = 1500, {**TWO, "checkpoint_every": 20, "log_points": 150}
    study = real_study(tmp_path, steps, systems=1)
    assert run(study, tmp_path / "straight", manner, monkeypatch) == 0
    with cluster(1) as nodes:
        assert run(study, tmp_path / "cut", {**manner, **ray(nodes, nodes=2)}, monkeypatch, LoseANode(nodes, 100)) == 0
    assert outcomes(tmp_path / "cut") == ["lost_node", "finished"]
    record = view(tmp_path / "cut").runs[0, 0]
    assert len(record.resumed_from) == 1
    assert 80 <= record.resumed_from[0] < steps
    assert losses(tmp_path / "cut") == losses(tmp_path / "straight")


def test_a_study_moves_between_launchers_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun here, stopped within its first run, moved, continued by Ray, stopped within its second, ended here: as if
    nothing had been.
    """
    steps = 600
    study, often = real_study(tmp_path, steps), {"log_points": 100}
    assert run(study, tmp_path / "straight", often, monkeypatch) == 0
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(study, first, often, monkeypatch, StopAt(0, 60)) == 143
    first.rename(second)
    with cluster(1) as nodes:
        assert run(study, second, {**often, **ray(nodes)}, monkeypatch, StopAt(1, 60)) == 143
    assert run(study, second, often, monkeypatch) == 0
    assert outcomes(second) == ["stopped", "finished", "stopped", "finished"]
    assert [record["launcher"] for record in jsonl.read(second / "study.jsonl") if record["event"] == "launched"] == [
        "local",
        "ray",
        "ray",
        "local",
    ]
    for record in view(second).runs.values():
        assert len(record.resumed_from) == 1
        assert 60 <= record.resumed_from[0] < steps
        assert record.executed_steps == steps  # a stop ends in a checkpoint: nothing was done twice
    assert losses(second) == losses(tmp_path / "straight")
