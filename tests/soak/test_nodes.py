"""Two nodes: two torchrun agents on this machine that meet over loopback, each with two ranks of one run; and ranks under `kill -9`."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pld_search.records.run import fold_run
from pld_search.training.run import train
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures
from tests.training.rank_runs import launched, settings, started, trained, written

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
    meeting = ["--nnodes", "2", "--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "run"]
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, "-m", "pld_search", *words]
    agents = [started(command, tmp_path / f"log-{node}") for node in range(2)]
    codes = [agent.wait(timeout=600) for agent in agents]
    assert codes == [0, 0], (tmp_path / "log-0").read_text()[-4000:]
    alone, nodes = train(spec, execution(log_points=20), tmp_path / "alone"), fold_run(tmp_path / "nodes")
    assert nodes.started["provenance"]["ranks"] == 4
    assert [value for _, value in nodes.series["train/loss"]] == pytest.approx([value for _, value in alone.series["train/loss"]], abs=1e-5)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_ranks_killed_at_random_moments_end_with_the_weights_of_an_undisturbed_run(experiment: Builder, execution: Builder, tmp_path: Path) -> None:  # noqa: F811
    """Of two ranks, one or the launcher is killed, most often while a checkpoint of every step is written."""
    chance, steps = random.Random(7), 400
    spec, how = experiment(**settings(steps=steps, batch=BATCH)), execution(mode="shard", log_points=steps, checkpoint_every=1, speed_probes=0)
    killed, code = 0, 1
    while code:
        process = started(launched(tmp_path / "cut", 2, spec, how), tmp_path / "log")
        begun = fold_run(tmp_path / "cut").step
        while killed < KILLS and process.poll() is None and fold_run(tmp_path / "cut").step <= begun:
            time.sleep(0.1)
        if killed < KILLS and process.poll() is None:
            time.sleep(chance.uniform(0, 1))
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        code = process.wait(timeout=900)
    assert killed >= KILLS // 2
    trained(tmp_path / "straight", 2, spec, how)
    first, second = (load_file(tmp_path / name / "checkpoints" / f"step-{steps:08d}" / "model.safetensors") for name in ("cut", "straight"))
    assert all(torch.equal(first[name], second[name]) for name in second)
    print(f"{killed} kills")
