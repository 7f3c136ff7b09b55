"""Two gloo ranks with Trainer (DDP), DDP and FSDP2: the losses of one process, and ranks that disagree are refused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.trainer import tiny_bert
from tests.two_ranks import by_trainer, plain_loop

Found = dict[str, Any]
pytestmark = pytest.mark.timeout(600)


def launched(folder: Path, ranks: int) -> list[Found]:
    """What each rank found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-W",
        "error::UserWarning:pld_search",
        "-m",
        "tests.two_ranks",
        str(folder / "found"),
        str(folder),
    ]
    children = []
    for rank in range(ranks):
        with (folder / f"log-{rank}").open("wb") as log:
            environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            children.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=Path(__file__).parent.parent)
            )
    try:
        codes = [child.wait(timeout=540) for child in children]
    finally:
        for child in children:
            child.kill()
    assert codes == [0] * ranks, "\n".join((folder / f"log-{rank}").read_text()[-3000:] for rank in range(ranks))
    return [json.loads((folder / f"found.{rank}").read_text()) for rank in range(ranks)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    return launched(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """This process, without a group and without a wrapper."""
    return {"loop": plain_loop(tiny_bert().train()), "trainer": by_trainer(tmp_path_factory.mktemp("one"))}


@pytest.mark.parametrize("way", ["fsdp2", "ddp"])
def test_a_plain_loop(one: Found, two: list[Found], way: str) -> None:
    assert len(one["loop"]) == 8
    for rank in two:
        assert rank[way] == pytest.approx(one["loop"], abs=1e-4)


def test_groups_accumulate_without_synchronisation(two: list[Found]) -> None:
    assert [rank["accumulated"] for rank in two] == [[0.0, 0.0]] * 2


def test_trainer(one: Found, two: list[Found]) -> None:
    assert len(one["trainer"]["straight"]) == 8
    assert one["trainer"]["resumed"] == one["trainer"]["straight"]
    for rank in two:
        assert rank["trainer"]["straight"] == pytest.approx(one["trainer"]["straight"], abs=1e-4)
        assert rank["trainer"]["resumed"] == pytest.approx(rank["trainer"]["straight"], abs=1e-6)


def test_ranks_that_disagree_are_refused(two: list[Found]) -> None:
    for rank in two:
        assert "seed 0 on rank 0 and 1 on rank 1" in rank["other seed"]
        assert "step 1 on rank 0 and 2 on rank 1" in rank["late"]


def test_what_ddp_cannot_do_is_refused(two: list[Found]) -> None:
    for rank in two:
        assert "static_graph" in rank["static"]
        assert "find_unused_parameters=True" in rank["unused"]
