"""A branch decays a copy of a paused run; the run itself never notices."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pld_search.costs.flops import step_flops
from pld_search.errors import CheckpointError, ConfigError
from pld_search.records import jsonl
from pld_search.records.run_record import branch_folder, fold_run
from pld_search.schedules.plan import Plan
from pld_search.training.branch import branch
from pld_search.training.train_run import train
from tests.training.test_resume import run_child
from tests.training.test_train_run import fail_at

Builder = Callable[..., Any]
SMALL = {"layers": 3, "hidden": 16, "heads": 2, "intermediate": 32}
AT, END, T = 20, 30, 60


@pytest.fixture
def spec(experiment: Builder) -> Any:
    return experiment(steps=T, model=SMALL, optimizer={"shape": "wsd", "warmup": "10 %", "decay": "50 %"})


@pytest.fixture
def how(execution: Builder) -> Any:
    return execution(checkpoint_every=4, log_points=T, keep_checkpoints=1)


def test_it_keeps_the_trunks_plans_and_decays_to_zero(spec: Any, how: Any, tmp_path: Path) -> None:
    trunk = train(spec, how, tmp_path, until=AT)
    record = branch(spec, how, tmp_path, AT)
    assert (record.state, record.step, record.executed_steps, record.resumed_from) == ("finished", END, END - AT, [])
    assert record.started.branch == {"of": spec.digest, "at": AT, "until": END}
    assert [step for step, _ in record.series["train/loss"]] == list(range(AT + 1, END + 1))
    assert [rate for _, rate in record.series["train/lr"]] == pytest.approx(
        [1e-3 * (END - step) / (END - AT) for step in range(AT, END)]
    )
    plan, flops = Plan(spec.schedule, spec.seed, T, 3, spec.batch.groups), step_flops(spec.model, spec.data, spec.batch)
    kept = [sum(sum(plan.at(step, group).keep) for group in range(2)) / 2 for step in range(AT, END)]  # type: ignore[union-attr]
    assert [layers for _, layers in record.series["drop/layers_kept"]] == kept
    assert record.final["progress/tflop"] == pytest.approx((flops.block * sum(kept) + (END - AT) * flops.fixed) / 1e12)
    assert record.final["progress/tokens"] == (END - AT) * spec.batch.sequences * spec.data.length
    assert [step for step, _ in record.series["valid/loss"]] == [END]
    assert fold_run(tmp_path) == trunk


def test_nothing_of_it_enters_the_trunk(spec: Any, how: Any, tmp_path: Path) -> None:
    train(spec, how, tmp_path / "one", until=AT)
    branch(spec, how, tmp_path / "one", AT)
    train(spec, how, tmp_path / "other", until=AT)
    one, other = train(spec, how, tmp_path / "one"), train(spec, how, tmp_path / "other")
    assert one.state == "finished"
    assert one.series == other.series


def test_it_leaves_the_trunk_where_the_rate_does(spec: Any, how: Any, tmp_path: Path) -> None:
    """Same weights, batch, masks, plan, dropout and (at its first step) rate: the losses part after the second, bit by
    bit until then.
    """
    train(spec, how, tmp_path, until=AT)
    short = branch(spec, how, tmp_path, AT).series["train/loss"]
    trunk = [point for point in train(spec, how, tmp_path).series["train/loss"] if AT < point[0] <= END]
    assert [one == other for one, other in zip(trunk, short, strict=True)] == [True, True] + [False] * (END - AT - 2)


def test_killed_and_resumed_it_ends_the_same(
    spec: Any, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(spec, how, tmp_path / "cut", until=AT)
    shutil.copytree(tmp_path / "cut", tmp_path / "straight")
    assert run_child(spec, how, tmp_path / "cut", kill_at=27, branch=AT) == -signal.SIGKILL
    train(spec, how, tmp_path / "cut", until=AT + 9)  # the trunk moves on meanwhile, twice
    train(spec, how, tmp_path / "cut", until=AT + 12)
    with monkeypatch.context() as patched:
        fail_at(patched, 26, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            branch(spec, how, tmp_path / "cut", AT)
    cut, straight = branch(spec, how, tmp_path / "cut", AT), branch(spec, how, tmp_path / "straight", AT)
    assert (cut.state, cut.resumed_from, cut.executed_steps) == ("finished", [24, 24], (END - AT) + 3 + 2)
    assert cut.series == straight.series


def test_it_holds_on_to_its_start_when_the_trunk_deletes_it(
    spec: Any, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(spec, how, tmp_path, until=AT)
    with monkeypatch.context() as patched:
        fail_at(patched, AT, RuntimeError("x"))
        with pytest.raises(RuntimeError):
            branch(spec, how, tmp_path, AT)
    train(spec, how, tmp_path)
    assert not (tmp_path / "checkpoints" / f"step-{AT:08d}").exists()
    record = branch(spec, how, tmp_path, AT)
    assert (record.state, record.resumed_from, record.executed_steps) == ("finished", [AT], END - AT)
    assert not (branch_folder(tmp_path, AT) / "checkpoints").exists()


def test_an_ended_branch_is_left_as_it_is(spec: Any, how: Any, tmp_path: Path) -> None:
    train(spec, how, tmp_path, until=AT)
    first = branch(spec, how, tmp_path, AT)
    before = (branch_folder(tmp_path, AT) / "events.jsonl").read_bytes()
    assert branch(spec, how, tmp_path, AT) == first
    assert (branch_folder(tmp_path, AT) / "events.jsonl").read_bytes() == before


def test_without_the_checkpoint_of_the_pause_there_is_no_branch(spec: Any, how: Any, tmp_path: Path) -> None:
    train(spec, how, tmp_path, until=AT)
    with pytest.raises(
        CheckpointError,
        match=r"no whole checkpoint of step 21; a branch starts from that of a pause \(train --until 21\)",
    ):
        branch(spec, how, tmp_path, AT + 1)
    assert jsonl.read(branch_folder(tmp_path, AT + 1) / "events.jsonl") == []


def test_a_decayed_rate_and_another_run_are_refused(spec: Any, how: Any, experiment: Builder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: wsd; given: linear"):
        branch(experiment(steps=T, model=SMALL), how, tmp_path, AT)
    train(spec, how, tmp_path, until=AT)
    with pytest.raises(ConfigError, match="holds another run"):
        branch(spec.model_copy(update={"seed": 1}), how, tmp_path, AT)
