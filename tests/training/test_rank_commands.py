"""`train --ranks`: signals, exit codes and kills, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from pld_search.records.run_record import fold_run
from pld_search.training import checkpoint
from tests.training.rank_runs import code_of, launched, settings, started
from tests.training.rendezvous_attack import attack, outside_addresses

pytestmark = pytest.mark.timeout(600)

Builder = Callable[..., Any]
LONG = settings(steps=100_000, batch={"sequences": 8, "groups": 2})


@contextmanager
def going(folder: Path, experiment: Builder, execution: Builder, **changes: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A run of two ranks that has trained for some steps."""
    how = execution(mode="shard", log_points=100_000, speed_probes=0, **changes)
    command = launched(folder, 2, experiment(**LONG), how)
    process = started(command, folder / "log")
    try:
        while fold_run(folder).step < 5:
            assert process.poll() is None, (folder / "log").read_text()[-4000:]
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def test_sigterm_stops_all_ranks_at_one_step_with_143(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    with going(tmp_path, experiment, execution) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 143
    record, saved = fold_run(tmp_path), checkpoint.latest(tmp_path / "checkpoints")
    assert record.state == "stopped"
    assert "SIGTERM" in (record.reason or "")
    assert saved is not None and saved.step == record.step
    assert said(tmp_path) == [f"stopped by SIGTERM after step {record.step} of 100000; a checkpoint was written"]


def test_a_pickled_command_from_outside_finds_nobody(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    """Under torchrun it was executed within seconds (benchmarks/repairs.py --attack shows it of an older revision)."""
    if not outside_addresses():
        pytest.skip("this machine has no address but its loopback's")
    with going(tmp_path, experiment, execution) as process:
        ranks = psutil.Process(process.pid).children(recursive=True)
        meetings = {urlsplit(rank.environ()["PLD_SEARCH_MEETING"]) for rank in ranks}
        assert [each.scheme for each in meetings] == ["file"]
        assert Path(next(iter(meetings)).path).parent.stat().st_mode & 0o777 == 0o700
        assert attack(process.pid, tmp_path / "bomb") == []
        after = fold_run(tmp_path).step + 5
        while fold_run(tmp_path).step < after:
            assert process.poll() is None, (tmp_path / "log").read_text()[-4000:]
            time.sleep(0.1)
    assert not (tmp_path / "bomb").exists()


def said(folder: Path) -> list[str]:
    """What people read, however many ranks have it to say; nobody else says anything."""
    lines = (folder / "log").read_text().splitlines()
    assert not [line for line in lines if "Traceback" in line or "torch" in line]
    return [line.removeprefix("pld-search: ") for line in lines if line.startswith("pld-search: ")]


def test_nothing_outlives_the_command_and_the_last_whole_checkpoint_is_taken(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    with going(tmp_path, experiment, execution, checkpoint_every=2) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left
    saved = checkpoint.latest(tmp_path / "checkpoints")
    assert saved is not None and saved.step >= 2


def test_one_process_is_the_mode_of_one(experiment: Builder, execution: Builder, tmp_path: Path) -> None:
    command = launched(tmp_path, 2, experiment(**LONG), execution())
    assert code_of(command, tmp_path / "log") == 2
    assert said(tmp_path) == [
        "mode: several processes share a run by replicas or by shards; allowed: replicate | shard; given: "
        "single, on 2 ranks"
    ]
    assert not (tmp_path / "events.jsonl").exists()
