"""SIGTERM and SIGINT: the step ends, a checkpoint is written, `stopped` is recorded, the exit code says which signal it
was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pld_search.errors import Interrupted
from pld_search.host.signals import StopRequest
from pld_search.records.events import RunEvent
from pld_search.records.run_record import RunWriter, fold_run
from pld_search.training import checkpoint
from pld_search.training.loop import Saver
from pld_search.training.train_run import train

Builder = Callable[..., Any]
SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}


def signal_at(monkeypatch: pytest.MonkeyPatch, number: int, event: str, at: int) -> None:
    """The process gets a signal right after it wrote this event."""
    emit = RunWriter.emit

    def emit_and_signal(self: RunWriter, written: RunEvent, *, durable: bool = False) -> None:
        emit(self, written, durable=durable)
        if (written.NAME, written.step) == (event, at):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(RunWriter, "emit", emit_and_signal)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_checkpoints_and_stops_and_the_run_goes_on_from_there(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    spec, handler = experiment(steps=20, model=SMALL), signal.getsignal(number)
    with monkeypatch.context() as patched:
        signal_at(patched, number, "progress", 7)
        with pytest.raises(Interrupted, match="after step 8 of 20") as caught:
            train(spec, execution(), tmp_path / "cut")
    assert caught.value.exit_code == code
    assert signal.getsignal(number) == handler
    record = fold_run(tmp_path / "cut")
    assert (record.state, record.step, record.ended) == ("stopped", 8, False)
    saved = checkpoint.latest(tmp_path / "cut" / "checkpoints")
    assert saved is not None and saved.step == 8
    resumed, straight = train(spec, execution(), tmp_path / "cut"), train(spec, execution(), tmp_path / "straight")
    assert (resumed.state, resumed.resumed_from, resumed.executed_steps) == ("finished", [8], 20)
    assert resumed.series == straight.series


def test_stopped_in_fine_tuning_only_the_unfinished_task_starts_again(
    experiment: Builder, execution: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(steps=4, model=SMALL, tasks=True, evaluation={"epochs": 2, "length": 24})
    with monkeypatch.context() as patched:
        signal_at(patched, signal.SIGTERM, "task", 4)
        with pytest.raises(Interrupted, match="in fine-tuning on task/pair"):
            train(spec, execution(), tmp_path)
    assert fold_run(tmp_path).state == "stopped"
    assert [fold_run(tmp_path / "tasks" / f"task-{name}-0").state for name in ("single", "pair", "number")] == [
        "finished",
        "running",
        "new",
    ]
    done = (tmp_path / "tasks" / "task-single-0" / "events.jsonl").read_bytes()
    assert train(spec, execution(), tmp_path).state == "finished"
    assert (tmp_path / "tasks" / "task-single-0" / "events.jsonl").read_bytes() == done
    assert fold_run(tmp_path / "tasks" / "task-pair-0").attempt == 2


def test_the_exit_code_of_a_process_that_is_told_to_stop(
    experiment: Builder, execution: Builder, tmp_path: Path
) -> None:
    spec, how = experiment(steps=100_000, model=SMALL), execution(log_points=100_000, checkpoint_every=100_000)
    settings = {
        "experiment": spec.model_dump(mode="json"),
        "execution": how.model_dump(mode="json"),
        "out": str(tmp_path / "run"),
    }
    (tmp_path / "run.json").write_text(json.dumps(settings))
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.training.child", str(tmp_path / "run.json")], stderr=subprocess.PIPE, text=True
    )
    try:
        while child.poll() is None and fold_run(tmp_path / "run").step < 3:
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        _, complaint = child.communicate(timeout=120)
    finally:
        child.kill()
    assert child.returncode == 143
    assert complaint.startswith("stopped by SIGTERM after step ")
    record = fold_run(tmp_path / "run")
    saved = checkpoint.latest(tmp_path / "run" / "checkpoints")
    assert saved is not None and record.state == "stopped"
    assert saved.step == record.step >= 3


def test_a_signal_that_comes_while_the_ranks_agree_is_the_next_steps(tmp_path: Path) -> None:
    """A rank that stopped for what the others had not heard would leave them in another collective."""

    def agree(*numbers: int) -> list[int]:
        """The largest over the ranks is known; then a signal reaches this one."""
        os.kill(os.getpid(), signal.SIGTERM)
        return list(numbers)

    calendar = SimpleNamespace(checkpoint=lambda _: False)
    ranks, execution = SimpleNamespace(highest=agree), SimpleNamespace(checkpoint_seconds=1e9)
    saver = Saver(
        cast(Any, SimpleNamespace(ranks=ranks, execution=execution, calendar=calendar)),
        cast(Any, None),
        cast(Any, None),
        tmp_path,
    )
    with StopRequest() as stop:
        assert saver.agreed(5, stop) == (False, False)
        assert stop.requested
        ranks.highest = lambda *numbers: list(numbers)
        assert saver.agreed(6, stop) == (False, True)


def test_the_second_signal_is_not_caught() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == before
