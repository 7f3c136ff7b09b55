"""`micro_batch: auto`: what is chosen, how it is proven, and that a run keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pld_search.costs.memory import memory_of
from pld_search.errors import ConfigError
from pld_search.records import jsonl
from pld_search.records.events import RunStarted
from pld_search.records.run_record import RunRecord, fold_run
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import loop, micro_batch, step
from pld_search.training.micro_batch import candidates, fitted, proven
from pld_search.training.setup import Fit, Setup, open_setup
from pld_search.training.train_run import train

Builder, Executor = Callable[..., Experiment], Callable[..., Execution]
CALM = {"dropout": 0.0, "attention_dropout": 0.0}
BATCH = {"sequences": 24, "groups": 2}
STEPS = 12


def setup_of(experiment: Builder, execution: Executor, **how: Any) -> Setup:
    return open_setup(experiment(steps=STEPS, batch=BATCH), execution(**{"micro_batch": "auto", **how}))


def needed(setup: Setup, size: int, device: str = "cpu") -> int:
    return memory_of(setup.experiment, setup.execution, size).needed(device)


def room_for(monkeypatch: pytest.MonkeyPatch, setup: Setup, size: int, device: str = "cpu") -> None:
    """Just enough for forwards of `size` sequences."""
    monkeypatch.setattr(micro_batch, "room_of", lambda *_: needed(setup, size, device))


def test_candidates_are_the_divisors_of_a_group_that_hold_whole_strata(
    experiment: Builder, execution: Executor
) -> None:
    setup = setup_of(experiment, execution)
    assert candidates(setup) == [12, 6, 4, 3, 2, 1]
    rows = {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 2}
    written = setup.experiment.model_dump(mode="json")
    stratified = Experiment.model_validate({**written, "schedule": {**written["schedule"], "draw": rows}})
    assert candidates(open_setup(stratified, setup.execution)) == [12, 6, 4, 2]


@pytest.mark.parametrize(("stated", "size"), [(None, 12), (5, 5), (100, 12)])
def test_what_is_stated_stays(stated: int | None, size: int, experiment: Builder, execution: Executor) -> None:
    setup = setup_of(experiment, execution, micro_batch=stated)
    assert fitted(setup) is setup
    assert setup.fit == Fit(size)


@pytest.mark.parametrize("size", [12, 4, 1])
def test_on_a_cpu_the_largest_by_the_forecast(
    size: int, experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = setup_of(experiment, execution)
    assert setup.fit is None
    room_for(monkeypatch, setup, size)
    monkeypatch.setattr(micro_batch, "proven", lambda *_: pytest.fail("a CPU has no trial"))
    assert fitted(setup).fit == Fit(size, "forecast", needed(setup, size), needed(setup, size))


def test_where_nothing_fits_it_says_how_much_is_missing(experiment: Builder, execution: Executor) -> None:
    with pytest.raises(
        ConfigError,
        match=r"micro_batch: not even the smallest .* GB free for 1 sequences of a forward; given: auto, with 0.00 GB",
    ):
        fitted(setup_of(experiment, execution, memory_gb=0.001))


def short_of_memory(monkeypatch: pytest.MonkeyPatch, module: Any, most: int, at: int = 0) -> list[int]:
    """From step `at` on forwards of more than `most` sequences end as CUDA's allocator does; the sizes that
    were tried.
    """
    tried: list[int] = []

    def failing(setup: Setup, state: Any, number: int, batch: Any) -> Any:
        tried.append(len(batch[0][0].input_ids))
        if tried[-1] > most and number >= at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return step.train_step(setup, state, number, batch)

    monkeypatch.setattr(module, "train_step", failing)
    return tried


def on_cuda(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """As on a GPU; the trial itself runs on the CPU."""
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    return replace(setup, device=torch.device("cuda", 0))


def test_on_cuda_steps_prove_it_and_what_runs_out_is_followed_by_the_next_smaller(
    experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = on_cuda(setup_of(experiment, execution, deterministic=False), monkeypatch)
    room_for(monkeypatch, setup, 6, "cuda")
    tried = short_of_memory(monkeypatch, micro_batch, 3)
    assert fitted(setup).fit == Fit(3, "trial", needed(setup, 3, "cuda"), needed(setup, 6, "cuda"))
    assert tried == [6, 4, 3, 3]


def test_on_cuda_the_smallest_is_tried_whatever_the_forecast_says(
    experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = on_cuda(setup_of(experiment, execution, deterministic=False), monkeypatch)
    monkeypatch.setattr(micro_batch, "room_of", lambda *_: 5)
    tried = short_of_memory(monkeypatch, micro_batch, 1)
    fitting = fitted(setup).fit
    assert fitting is not None and (fitting.size, tried) == (1, [1, 1])
    short_of_memory(monkeypatch, micro_batch, 0)
    with pytest.raises(ConfigError, match="not even the smallest"):
        fitted(setup)


def test_a_trial_runs_the_deepest_stack_at_full_depth_on_the_longest_sequences(
    experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def noted(setup: Setup, state: Any, number: int, batch: Any) -> None:
        seen.append((len(state.model.bert.encoder.blocks), tuple(batch[0][0].input_ids.shape)))
        assert all(gate is None or all(gate.keep) for gate in (setup.plan.at(number, group) for group in range(2)))

    monkeypatch.setattr(micro_batch, "train_step", noted)
    lengths = {"length": {"0 %": 8, "50 %": 16}}
    from pld_search.specs.growth import Growth

    growth = Growth.model_validate({"stages": {"0 %": 2, "50 %": 4}, "weights": "stack", "moments": "copy"})
    setup = open_setup(experiment(steps=STEPS, batch=BATCH, data=lengths, growth=growth), execution(micro_batch="auto"))
    assert proven(setup, 3)
    assert seen == [(4, (3, 16))] * 2


def test_a_shard_is_tried_without_moments(
    experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = setup_of(experiment, execution, mode="shard")
    two = replace(setup, ranks=replace(setup.ranks, rank=1, world=2))
    monkeypatch.setattr(micro_batch, "train_step", lambda *_: pytest.fail("no update"))
    assert candidates(two) == [6, 3, 2, 1]
    assert proven(two, 3)


def test_the_loss_does_not_depend_on_it(
    experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=STEPS, batch=BATCH, model=CALM), {"log_points": STEPS, "speed_probes": 0}
    room_for(monkeypatch, setup_of(experiment, execution), 2)
    auto, whole = (
        train(spec, execution(micro_batch="auto", **how), tmp_path / "auto"),
        train(spec, execution(**how), tmp_path / "whole"),
    )
    assert (auto.started.provenance["micro_batch"], whole.started.provenance["micro_batch"]) == (2, 12)
    assert len(auto.series["train/loss"]) == STEPS
    assert [loss for _, loss in auto.series["train/loss"]] == pytest.approx(
        [loss for _, loss in whole.series["train/loss"]], abs=1e-5
    )


def test_a_resumed_run_keeps_what_it_began_with(
    experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=STEPS, batch=BATCH), {"log_points": STEPS, "speed_probes": 0}
    setup = setup_of(experiment, execution)
    room_for(monkeypatch, setup, 2)
    first = train(spec, execution(micro_batch="auto", **how), tmp_path / "cut", until=5)
    assert first.started.execution["micro_batch"] == "auto"
    assert first.started.micro_batch == {
        "size": 2,
        "by": "forecast",
        "needed_bytes": needed(setup, 2),
        "free_bytes": needed(setup, 2),
    }
    room_for(monkeypatch, setup, 12)
    cut = train(spec, execution(micro_batch="auto", **how), tmp_path / "cut")
    straight = train(spec, execution(micro_batch=2, **how), tmp_path / "straight")
    assert (cut.resumed_from, cut.started.micro_batch["by"], straight.started.micro_batch is not None) == (
        [5],
        "recorded",
        False,
    )
    assert cut.series["train/loss"] == straight.series["train/loss"]
    assert len(cut.series["train/loss"]) == STEPS


def test_after_a_run_out_of_memory_the_next_attempt_is_smaller(
    experiment: Builder, execution: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, how = experiment(steps=STEPS, batch=BATCH), execution(micro_batch="auto", checkpoint_every=4, speed_probes=0)
    with monkeypatch.context() as patched:
        short_of_memory(patched, loop, 4, at=6)
        for size in (12, 6):
            with pytest.raises(torch.OutOfMemoryError):
                train(spec, how, tmp_path / "run")
            record = fold_run(tmp_path / "run")
            assert (record.state, record.kind, record.started.provenance["micro_batch"]) == (
                "failed",
                "out_of_memory",
                size,
            )
        done = train(spec, how, tmp_path / "run")
    assert (done.state, done.started.micro_batch["size"], done.started.micro_batch["by"]) == (
        "finished",
        4,
        "out_of_memory",
    )
    changed = [
        event["changed"] for event in jsonl.read(tmp_path / "run" / "events.jsonl") if event["event"] == "resumed"
    ]
    assert changed == [{"micro_batch": [12, 6]}, {"micro_batch": [6, 4]}]
    assert done.resumed_from == [4, 4]


def test_a_record_of_other_ranks_is_no_guide(
    experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = setup_of(experiment, execution)
    room_for(monkeypatch, setup, 3)
    for size in (None, 5, 24):
        found = fitted(setup, RunRecord(started=RunStarted(0, provenance={"micro_batch": size}))).fit
        assert found is not None and (found.size, found.by) == (3, "forecast")
