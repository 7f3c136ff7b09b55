"""One step: what it computes however it is cut, what skipping leaves alone, and what its dropout depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from pld_search.data.masking import IGNORED
from pld_search.schedules.plan import Gates
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.training import state
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State
from pld_search.training.step import forward_backward, probe_full_depth, train_step

CALM = {"dropout": 0.0, "attention_dropout": 0.0}
Opened = Callable[..., tuple[Setup, State]]


@pytest.fixture
def opened(experiment: Callable[..., Experiment], execution: Callable[..., Execution]) -> Opened:
    def build(*, micro_batch: int | None = None, **changes: object) -> tuple[Setup, State]:
        setup = open_setup(experiment(**changes), execution(micro_batch=micro_batch))
        return setup, state.fresh(setup)

    return build


def run_steps(setup: Setup, progress: State, steps: int) -> list[float]:
    return [train_step(setup, progress, step, setup.batch_at(step)).numbers[0].item() for step in range(steps)]


def weights(progress: State) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in progress.parameters])


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_micro_batches_add_up_to_the_whole(opened: Opened, micro_batch: int) -> None:
    whole, parts = opened(model=CALM), opened(model=CALM, micro_batch=micro_batch)
    assert len(parts[0].batch_at(0)[0]) == -(-4 // micro_batch)
    assert run_steps(*whole, 3) == pytest.approx(run_steps(*parts, 3), abs=1e-5)
    torch.testing.assert_close(weights(whole[1]), weights(parts[1]), atol=1e-5, rtol=1e-4)


def test_groups_of_a_full_depth_run_add_up_to_one(opened: Opened) -> None:
    one, four = (opened(model=CALM, schedule="full", batch={"groups": groups}) for groups in (1, 4))
    assert run_steps(*one, 3) == pytest.approx(run_steps(*four, 3), abs=1e-5)
    torch.testing.assert_close(weights(one[1]), weights(four[1]), atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_mean_over_the_predictions_of_the_whole_batch(opened: Opened) -> None:
    setup, progress = opened(model=CALM, schedule="full", micro_batch=3)
    batch = setup.batch_at(0)
    loss = forward_backward(setup, progress, 0, batch, [None, None]).item()
    total, count = 0.0, 0
    with torch.no_grad():
        for micro in (micro for group in batch for micro in group):
            known = int((micro.tensors["labels"] != IGNORED).sum())
            total += progress.model(**micro.tensors).loss.item() * known
            count += known
    assert loss == pytest.approx(total / count, rel=1e-5)


def blocks(progress: State) -> list[Tensor]:
    return [
        torch.cat([parameter.detach().reshape(-1).clone() for parameter in block.parameters()])
        for block in progress.model.bert.encoder.blocks
    ]


def moments(progress: State, layer: int) -> Iterator[Tensor]:
    for parameter in progress.model.bert.encoder.blocks[layer].parameters():
        yield from (value.clone() for value in progress.optimizer.state.get(parameter, {}).values())


def test_a_block_that_no_group_keeps_stays_as_it_is_and_one_that_any_keeps_moves(opened: Opened) -> None:
    setup, progress = opened(steps=60, schedule="pld", model={"dropout": 0.1})
    seen = {"kept by none": 0, "kept by one": 0}
    for step in range(20, 50):
        gates = [setup.plan.gates(step, group) for group in range(2)]
        before, held = blocks(progress), [list(moments(progress, layer)) for layer in range(4)]
        flight = train_step(setup, progress, step, setup.batch_at(step))
        after = blocks(progress)
        assert flight.ran == (4 * sum(sum(gate.keep) for gate in gates),) * 2
        for layer in range(4):
            kept = sum(gate.keep[layer] for gate in gates)
            assert torch.equal(before[layer], after[layer]) == (kept == 0)
            if kept == 0:
                assert all(
                    torch.equal(one, other) for one, other in zip(held[layer], moments(progress, layer), strict=True)
                )
            seen["kept by none"] += kept == 0
            seen["kept by one"] += kept == 1
    assert min(seen.values()) >= 5


def test_dropout_is_keyed_by_step_group_and_micro_batch_not_by_what_ran_before(opened: Opened) -> None:
    setup, progress = opened(model={"dropout": 0.5}, schedule="full", micro_batch=2)
    batch = setup.batch_at(0)
    first = forward_backward(setup, progress, 7, batch, [None, None])
    torch.rand(1000)
    assert torch.equal(first, forward_backward(setup, progress, 7, batch, [None, None]))
    assert not torch.equal(first, forward_backward(setup, progress, 8, batch, [None, None]))
    same = batch[0][0]
    parts = [
        forward_backward(setup, progress, 7, cut, [None] * len(cut)).item()
        for cut in (((same,),), ((), (same,)), ((same, same),))
    ]
    assert parts[0] != parts[1]
    assert parts[2] != pytest.approx(2 * parts[0], rel=1e-6)


def test_a_probe_changes_no_bit_and_leaves_no_gradient(opened: Opened) -> None:
    setup, progress = opened(precision="fp16", model={"dropout": 0.1})
    run_steps(setup, progress, 2)
    held, scaler = weights(progress).clone(), progress.numerics.state()
    assert probe_full_depth(setup, progress, 2, setup.batch_at(2)) > 0
    assert torch.equal(weights(progress), held)
    assert progress.numerics.state() == scaler
    assert all(parameter.grad is None for parameter in progress.parameters)


def test_full_depth_gates_and_no_gates_are_the_same(opened: Opened) -> None:
    setup, progress = opened(schedule="full")
    batch, every = setup.batch_at(0), Gates((True,) * 4, (1.0,) * 4, "none")
    assert torch.equal(
        forward_backward(setup, progress, 0, batch, [None, None]),
        forward_backward(setup, progress, 0, batch, [every, every]),
    )


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_train_on_the_cpu(opened: Opened, precision: str) -> None:
    exact, half = opened(model=CALM), opened(model=CALM, precision=precision)
    assert run_steps(*half, 2) == pytest.approx(run_steps(*exact, 2), rel=0.02)
    assert all(parameter.dtype == torch.float32 for parameter in half[1].parameters)
