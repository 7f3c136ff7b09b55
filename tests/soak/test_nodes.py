"""Two nodes on this machine that meet on its loopback, each with two ranks of one run: `train --ranks`, torchrun."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pld_search.records.run_record import fold_run
from pld_search.training.train_run import train
from tests.sockets import Listener, listeners
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures
from tests.training.rank_runs import settings, started, written

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
Builder = Callable[..., Any]
BATCH = {"sequences": 8, "groups": 2}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def by_ranks(node: int, port: int, words: list[str], log: Path) -> subprocess.Popen[bytes]:
    meeting = {
        "PET_NNODES": "2",
        "PET_NODE_RANK": str(node),
        "PET_MASTER_ADDR": "127.0.0.1",
        "PET_MASTER_PORT": str(port),
    }
    return started([sys.executable, "-m", "pld_search", *words, "--ranks", "2"], log, **meeting)


def by_torchrun(node: int, port: int, words: list[str], log: Path) -> subprocess.Popen[bytes]:
    """With the static rendezvous, which unpickles nothing; torchrun's own store listens on all interfaces."""
    meeting = ["--nnodes", "2", "--node-rank", str(node), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        *meeting,
        "--rdzv-backend",
        "static",
        "--nproc-per-node",
        "2",
    ]
    return started([*launcher, "-m", "pld_search", *words], log, GLOO_SOCKET_IFNAME="lo")


@pytest.mark.parametrize("way", [by_ranks, by_torchrun])
def test_two_nodes(way: Callable[..., Any], experiment: Builder, execution: Builder, tmp_path: Path) -> None:  # noqa: F811
    spec, port = experiment(**settings(steps=20, batch=BATCH)), free_port()
    words = written(tmp_path / "nodes", spec, execution(mode="shard", log_points=20))
    nodes, found = [way(node, port, words, tmp_path / f"log-{node}") for node in range(2)], set[Listener]()
    while None in [node.poll() for node in nodes]:
        found |= {each for node in nodes for each in listeners(node.pid)}
        time.sleep(0.2)
    assert [node.returncode for node in nodes] == [0, 0], (tmp_path / "log-0").read_text()[-4000:]
    outside = {each.port for each in found if not each.on_loopback}
    assert (port in {each.port for each in found}, outside) == (True, set() if way is by_ranks else {port})
    alone, record = train(spec, execution(log_points=20), tmp_path / "alone"), fold_run(tmp_path / "nodes")
    assert record.started.provenance["ranks"] == 4
    theirs = [value for _, value in alone.series["train/loss"]]
    assert [value for _, value in record.series["train/loss"]] == pytest.approx(theirs, abs=1e-5)
