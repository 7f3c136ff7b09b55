"""Muon beside AdamW: each does what torch's own class does, what has no gradient stays, and a checkpoint holds all."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from pld_search.costs.load_schedule import load_schedule
from pld_search.costs.memory import memory_of
from pld_search.costs.parameters import checkpoint_bytes
from pld_search.errors import Refused
from pld_search.model.build_model import masked_lm
from pld_search.model.deepen import deepen
from pld_search.model.layered_model import LayeredModel
from pld_search.schedules.schedule import Schedule
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Batch, Data, Experiment, Model, Optimizer, OtherRate
from pld_search.training.muon import MuonAndAdamW
from pld_search.training.optimizer import guarded_step, optimizer_of, refitted, set_lr
from pld_search.training.parallel.batch_division import check_ranks

MODEL = Model(layers=2, hidden=8, heads=2, intermediate=16, vocabulary=64)
SPEC = Optimizer(kind="muon", lr=0.02, adamw=OtherRate(lr=0.004), weight_decay=0.1)
NOTHING = "sha256:" + "0" * 64


def with_gradients(model: LayeredModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def pair() -> tuple[LayeredModel, torch.optim.Optimizer]:
    model = masked_lm(MODEL)
    return model, optimizer_of(model, SPEC)


def test_it_is_torchs_muon_for_matrices_of_layers_and_torchs_adamw_for_the_rest() -> None:
    model, optimizer = pair()
    other = copy.deepcopy(model)
    inner = set(other.blocks.parameters())
    matrices = [each for each in other.parameters() if each in inner and each.ndim == 2]
    rest = [each for each in other.parameters() if each not in inner or each.ndim < 2]
    decayed = [
        {"params": [each for each in rest if each.ndim > 1]},
        {"params": [each for each in rest if each.ndim < 2]},
    ]
    decayed[1]["weight_decay"] = 0.0  # type: ignore[assignment]
    plain = [
        torch.optim.Muon(matrices, lr=0.01, weight_decay=0.1, momentum=0.95),
        torch.optim.AdamW(decayed, lr=0.002, weight_decay=0.1, fused=True),
    ]
    assert len(matrices) == 4 * MODEL.layers
    set_lr(optimizer, 0.01)  # half of the peak: AdamW's is halved, too
    for step in range(3):
        for each in (model, other):
            with_gradients(each, step)
        optimizer.step()
        for part in plain:
            part.step()
    for (name, one), two in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name


def state_of(model: LayeredModel, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    held = [parameter.detach().clone() for parameter in model.parameters()]
    return held + [value.clone() for each in optimizer.state.values() for value in each.values()]


def test_a_layer_without_gradients_keeps_its_weights_and_its_momentum() -> None:
    model, optimizer = pair()
    with_gradients(model, 0)
    optimizer.step()
    skipped = model.blocks[1]
    held = {name: each.detach().clone() for name, each in skipped.named_parameters()}
    momentum = {name: dict(optimizer.state[each]) for name, each in skipped.named_parameters()}
    momentum = copy.deepcopy(momentum)
    with_gradients(model, 1)
    for parameter in skipped.parameters():
        parameter.grad = None
    before = model.blocks[0].attention.qkv.weight.detach().clone()
    optimizer.step()
    for name, parameter in skipped.named_parameters():
        assert torch.equal(parameter, held[name])
        found = optimizer.state[parameter]
        assert found.keys() == momentum[name].keys()
        assert all(torch.equal(found[kind], value) for kind, value in momentum[name].items())
    assert not torch.equal(model.blocks[0].attention.qkv.weight, before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_change_nothing(bad: float) -> None:
    model, optimizer = pair()
    with_gradients(model, 0)
    guarded_step(optimizer, torch.tensor(1.0))
    held = state_of(model, optimizer)
    guarded_step(optimizer, torch.tensor(bad))
    assert all(torch.equal(one, two) for one, two in zip(held, state_of(model, optimizer), strict=True))


def test_a_checkpoint_brings_all_back() -> None:
    model, optimizer = pair()
    with_gradients(model, 0)
    optimizer.step()
    other = copy.deepcopy(model)
    again = optimizer_of(other, SPEC)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for each, its in ((model, optimizer), (other, again)):
        with_gradients(each, 1)
        its.step()
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))
    assert len(again.state) == len(list(model.parameters()))


def test_new_layers_begin_with_the_momentum_of_those_they_are_copies_of() -> None:
    model, optimizer = pair()
    with_gradients(model, 0)
    optimizer.step()
    copied = deepen(model, MODEL, 0, 4, "stack")
    grown = refitted(optimizer, model, copied)
    assert isinstance(grown, MuonAndAdamW) and len(grown.param_groups[0]["params"]) == 16
    old, new = (model.blocks[index].feed_forward.up.weight for index in (0, 2))
    assert torch.equal(grown.state[old]["momentum_buffer"], grown.state[new]["momentum_buffer"])
    assert grown.state[old]["momentum_buffer"] is not grown.state[new]["momentum_buffer"]
    with_gradients(model, 1)
    grown.step()


def reasons(caught: pytest.ExceptionInfo[ValidationError]) -> list[tuple[Any, ...]]:
    refused = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(refused, Refused)
    return [reason.path for reason in refused.reasons]


def test_two_rates_belong_to_muon_and_to_nothing_else() -> None:
    with pytest.raises(ValidationError) as caught:
        Optimizer(kind="muon", lr=0.02)
    assert reasons(caught) == [("adamw",)]
    with pytest.raises(ValidationError) as caught:
        Optimizer(lr=0.02, adamw=OtherRate(lr=1e-3), momentum=0.9)
    assert reasons(caught) == [("adamw",), ("momentum",)]
    assert Optimizer(kind="adamw", lr=1.0).model_dump() == Optimizer(lr=1.0).model_dump()


def experiment(schedule: Schedule, optimizer: Optimizer = SPEC) -> Experiment:
    return Experiment(
        model=MODEL,
        data=Data(corpus=NOTHING, tokenizer=NOTHING, length=16),
        batch=Batch(sequences=4),
        optimizer=optimizer,
        precision="fp32",
        schedule=schedule,
        steps=10,
    )


def test_a_skipped_layer_does_not_drift_on_under_muon() -> None:
    with pytest.raises(ValidationError) as caught:
        experiment(load_schedule({"base": "pld", "skipped": "zero_grad"}, layers=2, steps=10))
    assert reasons(caught) == [("schedule", "skipped")]
    assert "whole step" in str(caught.value)


def test_shards_are_refused_and_one_moment_less_is_counted() -> None:
    schedule = load_schedule("pld", layers=2, steps=10)
    ours, plain = experiment(schedule), experiment(schedule, Optimizer(lr=1e-3))
    (problem,) = check_ranks(ours, Execution(mode="shard"), 1)
    assert "whole matrices" in problem.message and not check_ranks(ours, Execution(mode="replicate"), 2)
    matrices = sum(each.numel() for each in masked_lm(MODEL).blocks.parameters() if each.ndim == 2)
    assert memory_of(plain, Execution(), 4).state - memory_of(ours, Execution(), 4).state == 4 * matrices
    assert checkpoint_bytes(MODEL) - checkpoint_bytes(MODEL, None, "muon") == 4 * matrices


def test_one_parameter_in_two_groups_is_an_error() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match="more than one"):
        MuonAndAdamW([{"params": [weight]}, {"params": [weight]}])
