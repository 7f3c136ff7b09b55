"""Ranks as processes, with commands of a line instead of a training: exit codes, signals, kills, variables."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pld_search.cli.ranks import launched
from pld_search.host.network import loopback

RANK = "import os, pathlib, signal, sys, time; rank = int(os.environ['RANK']); folder = pathlib.Path(sys.argv[1])\n"
READY = "(folder / f'ready-{rank}').touch()\n"
LAUNCH = "import sys; from pld_search.cli.ranks import launched; sys.exit(launched(sys.argv[2:], int(sys.argv[1])))"
STOPS = "signal.signal(signal.SIGTERM, lambda number, _: sys.exit(143))\n" + READY + "time.sleep(60)"


@pytest.fixture(autouse=True)
def _one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PET_NNODES", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def command(folder: Path, code: str) -> list[str]:
    return [sys.executable, "-S", "-c", RANK + code, str(folder)]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 0), 0), ((3, 3), 3), ((2, 0), 2), ((0, 3), 1)],
)
def test_the_first_rank_answers(tmp_path: Path, codes: tuple[int, int], expected: int) -> None:
    assert launched(command(tmp_path, f"sys.exit({codes}[rank])"), 2) == expected


def test_what_a_rank_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the meeting is this user's alone, and gone afterwards."""
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "ib0")
    write = "(folder / str(rank)).write_text(__import__('json').dumps([dict(os.environ), "
    place = "os.stat(os.environ['PLD_SEARCH_MEETING'][7:].rpartition('/')[0]).st_mode]))"
    assert launched(command(tmp_path, write + place), 2) == 0
    for rank in range(2):
        variables, mode = json.loads((tmp_path / str(rank)).read_text())
        assert stat.S_IMODE(mode) == 0o700
        assert not Path(variables["PLD_SEARCH_MEETING"].removeprefix("file://")).parent.exists()
        assert [variables[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == [str(rank), "2", str(rank)]
        assert variables["GLOO_SOCKET_IFNAME"] == loopback()
        assert variables["NCCL_SOCKET_IFNAME"] == "ib0"
        assert variables["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_is_killed_the_others_follow(tmp_path: Path, capfd: pytest.CaptureFixture[str], victim: int) -> None:
    code = f"if rank == {victim}: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(60)"
    began = time.monotonic()
    assert launched(command(tmp_path, code), 3) == 1
    assert time.monotonic() - began < 30
    assert capfd.readouterr().err == f"pld-search: rank {victim} was ended by SIGKILL\n"


def test_one_that_fails_lets_the_others_say_why(tmp_path: Path) -> None:
    """They have some seconds to end by themselves before they are asked to."""
    code = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\nif rank == 1: sys.exit(1)\ntime.sleep(1); sys.exit(4)"
    )
    assert launched(command(tmp_path, code), 2) == 4


@contextmanager
def going(folder: Path, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Two ranks in a command of their own, once both are ready."""
    started = subprocess.Popen([sys.executable, "-c", LAUNCH, "2", *command(folder, code)], process_group=0)
    try:
        wait_until(lambda: all((folder / f"ready-{rank}").exists() for rank in range(2)))
        yield started
    finally:
        started.kill()
        started.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_signals_reach_every_rank_once(tmp_path: Path) -> None:
    """To the command's whole group, as a terminal sends them: ranks lead groups of their own."""
    with going(tmp_path, STOPS) as process:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 143


def test_a_signal_that_comes_too_early_ends_with_its_number(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with going(tmp_path, READY + "time.sleep(60)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert capfd.readouterr().err == ""


def test_ranks_end_with_the_command(tmp_path: Path) -> None:
    with going(tmp_path, READY + "time.sleep(60)") as process:
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        process.kill()
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left
