"""Recomputed activations: the same bits in losses, gradients and runs, and no work for what the plan drops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pld_search.model.blocks import Block
from pld_search.records.run_record import fold_run
from pld_search.schedules.gates import Gates
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.growth import Growth
from pld_search.training import precision, state
from pld_search.training.held_out_losses import held_out_loss
from pld_search.training.setup import Setup, open_setup
from pld_search.training.state import State
from pld_search.training.step import forward_backward, probe_full_depth, train_step
from pld_search.training.train_run import train
from tests.compiling import fresh_compiler
from tests.training.test_resume import SCALE

Builder, Executor = Callable[..., Experiment], Callable[..., Execution]
STEPS = 20
HALVES = {"draw": {"kind": "bernoulli", "per": "group", "unit": "sublayer"}}
ROWS = {"draw": {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 2}}
WHOLE_BLOCKS = {"rescale": "block"}
PLANS: dict[str, dict[str, Any]] = {"layers": {}, "halves": HALVES, "rows": ROWS, "blocks": WHOLE_BLOCKS}


def opened(
    experiment: Builder, execution: Executor, how: str | int, draws: dict[str, Any], **changes: Any
) -> tuple[Setup, State]:
    base = experiment(steps=STEPS, **changes).model_dump(mode="json")
    spec = Experiment.model_validate({**base, "schedule": {**base["schedule"], **draws}})
    setup = open_setup(spec, execution(micro_batch=2, activation_checkpointing=how))
    return setup, state.fresh(setup)


def steps(setup: Setup, own: State) -> tuple[list[Tensor], list[Tensor]]:
    """The numbers of every step, and the weights in the end."""
    numbers = [train_step(setup, own, step, setup.batch_at(step)).numbers for step in range(STEPS)]
    return numbers, [parameter.detach().clone() for parameter in own.parameters]


@pytest.mark.parametrize(
    ("kind", "plan", "how"),
    [
        ("fp32", "layers", 3),
        ("fp16", "layers", "blocks"),
        ("fp32", "halves", "blocks"),
        ("fp32", "rows", "blocks"),
        ("fp32", "blocks", 2),
    ],
)
def test_losses_and_weights_of_twenty_steps_are_the_same_bits(
    kind: str, plan: str, how: str | int, experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "INITIAL_SCALE", SCALE[0])  # overflows at first
    plain, recomputed = (
        steps(*opened(experiment, execution, each, PLANS[plan], precision=kind)) for each in ("none", how)
    )
    assert len(plain[0]) == STEPS
    assert [numbers.numpy().tobytes() for numbers in plain[0]] == [
        numbers.numpy().tobytes() for numbers in recomputed[0]
    ]
    assert all(torch.equal(one, other) for one, other in zip(plain[1], recomputed[1], strict=True))


# torch's tracer looks at it
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize(("kind", "compiled"), [("fp32", False), ("fp16", False), ("fp16", True)])
def test_gradients_are_the_same_bits(
    kind: str, compiled: bool, experiment: Builder, execution: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pld_search.model.build_model import compile_blocks

    monkeypatch.setattr(state, "compile_blocks", lambda model, **how: compile_blocks(model, "aot_eager", **how))
    gates = [Gates((True, False, True, True), (1.0, 1.0, 2.0, 1.5), "sublayer"), None]
    found: list[list[Tensor | None]] = []
    with fresh_compiler() as graphs:
        for how in ("none", "blocks"):
            spec = experiment(precision=kind, steps=STEPS)
            setup = open_setup(spec, execution(compile=compiled, activation_checkpointing=how))
            own = state.fresh(setup)
            forward_backward(setup, own, 3, setup.batch_at(3), gates[:1] + gates[:1])
            assert own.model.bert.encoder.blocks[1].attention.qkv.weight.grad is None
            forward_backward(setup, own, 4, setup.batch_at(4), gates)
            found.append([parameter.grad for parameter in own.parameters])
        assert (graphs.count() > 0) is compiled
    assert len(found[0]) == len(found[1]) > 50
    for one, other in zip(*found, strict=True):
        assert one is not None and other is not None and torch.equal(one, other)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The identity of every block that computes, in the order of its computing."""
    forward, seen = Block.forward, list[int]()

    def noted(self: Block, *arguments: Any, **named: Any) -> Tensor:
        seen.append(id(self))
        return forward(self, *arguments, **named)

    monkeypatch.setattr(Block, "forward", noted)
    yield seen


@pytest.mark.parametrize(("how", "again"), [("none", []), ("blocks", [3, 2, 0]), (2, [3]), (3, [2]), (5, [])])
def test_what_is_kept_is_computed_again_and_what_is_dropped_never(
    how: str | int, again: list[int], experiment: Builder, execution: Executor, counted: list[int]
) -> None:
    setup, own = opened(experiment, execution, how, {}, batch={"groups": 1})
    order = [id(block) for block in own.model.bert.encoder.blocks]
    (micro_batches,) = setup.batch_at(0)
    gates = Gates((True, False, True, True), (1.0,) * 4, "none")
    forward_backward(setup, own, 0, (micro_batches[:1],), [gates])
    assert [order.index(block) for block in counted] == [0, 2, 3, *again]


def test_validation_recomputes_nothing_and_a_probe_does_what_a_step_does(
    experiment: Builder, execution: Executor, counted: list[int]
) -> None:
    setup, own = opened(experiment, execution, "blocks", {}, batch={"groups": 1})
    held_out_loss(setup, own.model, own.numerics, "validation")
    chunks = len(list(setup.held_out("validation")))
    assert len(counted) == 4 * chunks > 0
    counted.clear()
    batch = setup.batch_at(0)
    probe_full_depth(setup, own, 0, batch)
    assert len(counted) == 2 * 4 * len(batch[0])


def test_less_is_held_for_the_backward_pass(experiment: Builder, execution: Executor) -> None:
    """What autograd keeps for the backward pass, by the bytes of distinct storages that are no parameters."""
    kept = {}
    for how in ("none", 2, "blocks"):
        setup, own = opened(experiment, execution, how, {}, batch={"groups": 1})
        own_storages = {parameter.untyped_storage().data_ptr() for parameter in own.parameters}
        seen: dict[int, Tensor] = {}

        def pack(tensor: Tensor, seen: dict[int, Tensor] = seen, own_storages: set[int] = own_storages) -> Tensor:
            if tensor.untyped_storage().data_ptr() not in own_storages:
                seen[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        part = setup.batch_at(0)[0][0]
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = own.model(**part.tensors).loss
        loss.backward()
        kept[how] = sum(tensor.untyped_storage().nbytes() for tensor in seen.values())
    assert kept["none"] > kept[2] > kept["blocks"]


def test_a_grown_run_goes_on_and_its_record_is_that_of_an_undisturbed_one(
    experiment: Builder, execution: Executor, tmp_path: Path
) -> None:
    growth = Growth.model_validate({"stages": {"0 %": 2, "50 %": 4}, "weights": "stack", "moments": "copy"})
    spec = experiment(steps=STEPS, growth=growth, precision="fp16")
    plain = train(spec, execution(log_points=STEPS, speed_probes=2), tmp_path / "plain")
    how = execution(log_points=STEPS, speed_probes=2, activation_checkpointing="blocks")
    train(spec, how, tmp_path / "cut", until=7)
    cut = train(spec, how, tmp_path / "cut")
    assert (plain.state, cut.state, cut.resumed_from) == ("finished", "finished", [7])
    points = {name: series for name, series in cut.series.items() if name != "valid/loss"}
    assert points == {name: series for name, series in plain.series.items() if name != "valid/loss"}
    assert len(points["train/loss"]) == STEPS
    assert fold_run(tmp_path / "cut").started.execution["activation_checkpointing"] == "blocks"
    assert fold_run(tmp_path / "cut").started.digest == plain.started.digest
