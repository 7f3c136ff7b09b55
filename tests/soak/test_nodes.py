"""Two nodes: two torchrun agents on this machine that meet over loopback, each with two ranks of one run."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pld_search.records.run_record import fold_run
from pld_search.training.train_run import train
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures
from tests.training.rank_runs import settings, started, written

Builder = Callable[..., Any]
KILLS = 10
BATCH = {"sequences": 8, "groups": 2}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_two_agents(experiment: Builder, execution: Builder, tmp_path: Path) -> None:  # noqa: F811
    spec = experiment(**settings(steps=20, batch=BATCH))
    words = written(tmp_path / "nodes", spec, execution(mode="shard", log_points=20))
    meeting = [
        "--nnodes",
        "2",
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        f"127.0.0.1:{free_port()}",
        "--rdzv-id",
        "run",
    ]
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, "-m", "pld_search", *words]
    agents = [started(command, tmp_path / f"log-{node}") for node in range(2)]
    codes = [agent.wait(timeout=600) for agent in agents]
    assert codes == [0, 0], (tmp_path / "log-0").read_text()[-4000:]
    alone, nodes = train(spec, execution(log_points=20), tmp_path / "alone"), fold_run(tmp_path / "nodes")
    assert nodes.started.provenance["ranks"] == 4
    assert [value for _, value in nodes.series["train/loss"]] == pytest.approx(
        [value for _, value in alone.series["train/loss"]], abs=1e-5
    )
