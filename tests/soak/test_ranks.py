"""Ranks at length: four over 100 steps, compiled blocks, and a disk that fills up under the command of a user."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from pld_search.records.run_record import fold_run
from pld_search.training import checkpoint
from tests.small_disk import BALLAST, leave_free, needed, small_disk
from tests.training.conftest import execution, experiment, prepared  # noqa: F401  # fixtures
from tests.training.rank_bench import Bench, Builder, assert_close, losses
from tests.training.rank_runs import launched, started

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture
def bench(experiment: Builder, execution: Builder, tmp_path: Path) -> Bench:  # noqa: F811
    return Bench(tmp_path, experiment, execution)


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_hundred_steps_with_and_without_accumulation(bench: Bench, ranks: int) -> None:
    for mode in ("shard", "replicate"):
        for micro_batch in (None, 1):
            bench.add(f"{mode} {micro_batch}", bench.spec(100), bench.how(mode=mode, micro_batch=micro_batch))
    names = list(bench.jobs)
    bench.run(ranks, timeout=1600)
    alone = bench.alone("alone", bench.spec(100))
    assert len(losses(alone)) == 100
    for name in names:
        assert_close(alone, bench.record(name))
        print(
            ranks,
            name,
            max(abs(one - other) for one, other in zip(losses(alone), losses(bench.record(name)), strict=True)),
        )


@pytest.mark.parametrize("schedule", ["full", "pld"])
def test_compiled_blocks(bench: Bench, schedule: str) -> None:
    """Each rank compiles its blocks; sums are in another order, so it agrees to rounding only."""
    for mode in ("shard", "replicate"):
        bench.add(mode, bench.spec(schedule=schedule), bench.how(mode=mode, compile=True))
    bench.run(2, timeout=1600)
    alone = bench.alone("alone", bench.spec(schedule=schedule))
    for mode in ("shard", "replicate"):
        assert_close(alone, bench.record(mode), tolerance=1e-4)


def test_a_disk_that_fills_up(bench: Bench) -> None:
    """One line, exit code 1, the last checkpoint whole; with room again the same command goes on and ends as if nothing
    had been.
    """
    spec, how = bench.spec(60), bench.how(mode="shard", checkpoint_every=2)
    with small_disk(bench.folder / "disk", "16m") as mounted:
        folder = needed(mounted) / "run"
        command = launched(folder, 2, spec, how)
        process = started(command, bench.folder / "log")
        _wait_for_checkpoint(process, folder)
        leave_free(folder.parent, 0)
        assert process.wait(timeout=300) == 1
        lines = (bench.folder / "log").read_text().splitlines()
        assert len([line for line in lines if line.startswith("pld-search: ")]) == 1, lines
        assert not [line for line in lines if "Traceback" in line], lines
        saved = checkpoint.latest(folder / "checkpoints")
        assert saved is not None and saved.step >= 4
        (folder.parent / BALLAST).unlink()
        assert started(command, bench.folder / "log").wait(timeout=600) == 0
        record = fold_run(folder)
    assert record.resumed_from == [saved.step]
    assert losses(record) == pytest.approx(losses(bench.alone("alone", spec)), abs=1e-5)


def _wait_for_checkpoint(process: subprocess.Popen[bytes], folder: Path) -> None:
    while max(checkpoint.steps_of(folder / "checkpoints"), default=0) < 4:
        assert process.poll() is None
        time.sleep(0.01)
