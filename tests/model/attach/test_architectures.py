"""Eight architectures of transformers: open gates change no bit, a skipped block is the identity, has no gradient and
costs nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pld_search.model.attach.layer_drop import Drop, attach
from pld_search.schedules.gates import Gates, RowGates
from tests.model.attach.architectures import ARCHITECTURES, BATCH, LAYERS, Architecture
from tests.model.attach.reference import by_hand

STEPS = 40
EACH = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
HALF: dict[str, Any] = {
    "temporal": {"kind": "constant", "value": 0.5},
    "depth": {"kind": "linear", "index": "l/L"},
    "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "rescale": "block",
    "skipped": "freeze",
}


def changing_steps(drop: Drop, wanted: int) -> list[int]:
    """Steps of the plan with different blocks, none of them all or nothing."""
    found: dict[tuple[bool, ...], int] = {}
    for step in range(STEPS):
        keep = drop.plan.gates(step, 0).keep
        if 0 < sum(keep) < LAYERS:
            found.setdefault(keep, step)
    assert len(found) >= wanted
    return list(found.values())[:wanted]


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@EACH
def test_open_gates_change_no_bit(architecture: Architecture) -> None:
    model, batch = architecture.build(), architecture.batch()
    before = model(**batch)
    before.loss.backward()
    expected = gradients(model)
    model.zero_grad(set_to_none=True)
    drop = attach(model, "pld", steps=STEPS, rescale="block")
    assert drop.path == architecture.path
    assert drop.plan.gates(0, 0) == Gates((True,) * LAYERS, (1.0,) * LAYERS, "block")
    with drop.step(0):
        after = model(**batch)
        after.loss.backward()
    assert torch.equal(before.logits, after.logits)
    found = gradients(model)
    assert all(
        torch.equal(expected[name], found[name]) if expected[name] is not None else found[name] is None
        for name in expected
    )  # type: ignore[arg-type]


@EACH
def test_skipped_is_the_identity_and_scaled_is_the_residual(architecture: Architecture) -> None:
    model, batch = architecture.build(), architecture.batch()
    drop = attach(model, HALF, steps=STEPS)
    for step in changing_steps(drop, 3):
        gates = drop.plan.gates(step, 0)
        model.zero_grad(set_to_none=True)
        drop.detach()
        reference, of_reference = by_hand(model, architecture.path, gates)
        drop = attach(model, HALF, steps=STEPS)
        expected = reference(**batch)
        expected.loss.backward()
        with drop.step(step):
            found = model(**batch)
        found.loss.backward()
        assert torch.equal(found.logits, expected.logits)
        blocks = model.get_submodule(architecture.path)
        assert isinstance(blocks, nn.ModuleList)
        for keep, block, other in zip(gates.keep, blocks, of_reference, strict=True):
            for own, its in zip(block.parameters(), other.parameters(), strict=True):
                assert (own.grad is not None) == (its.grad is not None)
                assert keep or own.grad is None
                assert own.grad is None or torch.equal(own.grad, its.grad)  # type: ignore[arg-type]
            assert keep == any(parameter.grad is not None for parameter in block.parameters())


@EACH
def test_skipped_blocks_are_not_called(architecture: Architecture) -> None:
    model, batch = architecture.build(), architecture.batch()
    calls = [0] * LAYERS
    blocks = list(model.get_submodule(architecture.path).children())
    for index, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, index=index: calls.__setitem__(index, calls[index] + 1))
    drop = attach(model, HALF, steps=STEPS)
    expected = [0] * LAYERS
    for step in range(12):
        with drop.step(step):
            model(**batch)
        expected = [count + keep for count, keep in zip(expected, drop.plan.gates(step, 0).keep, strict=True)]
    assert calls == expected
    assert min(expected) < 12


@EACH
def test_evaluation_is_full_depth(architecture: Architecture) -> None:
    model, batch = architecture.build(), architecture.batch()
    expected = model.eval()(**batch).logits
    drop = attach(model.train(), HALF, steps=STEPS)
    (step,) = changing_steps(drop, 1)
    with drop.step(step):
        assert not torch.equal(model(**batch).logits, expected)
        model.eval()
        assert torch.equal(model(**batch).logits, expected)
    model.train()
    with pytest.warns(UserWarning, match="outside"):
        assert torch.equal(model(**batch).logits, expected)  # dropout is 0


@EACH
def test_rescale_at_evaluation_multiplies_there(architecture: Architecture) -> None:
    model, batch = architecture.build(), architecture.batch()
    drop = attach(model, HALF, steps=STEPS, rescale="evaluation")
    (step,) = changing_steps(drop, 1)
    gates = drop.plan.gates(step, 0)
    with drop.step(step):
        trained = model(**batch).logits
    evaluated = model.eval()(**batch).logits
    drop.detach()
    p = drop.plan.schedule.keep_probabilities(step + 1, STEPS, LAYERS).tolist()
    assert torch.equal(
        trained,
        by_hand(model.train(), architecture.path, Gates(gates.keep, (1.0,) * LAYERS, "none"))[0](**batch).logits,
    )
    assert torch.equal(
        evaluated,
        by_hand(model, architecture.path, Gates((True,) * LAYERS, tuple(p), "block"))[0].eval()(**batch).logits,
    )


@EACH
@pytest.mark.parametrize("rescale", ["block", "none"])
def test_rows_pass_as_if_each_were_alone(architecture: Architecture, rescale: str) -> None:
    model, batch = architecture.build(), architecture.batch()
    if architecture.name == "GPT-2":
        model.config.use_cache = False
    drawn = {**HALF, "draw": {"kind": "bernoulli", "per": "sequence", "unit": "layer", "strata": 3}}
    drop = attach(model, drawn, steps=STEPS, rescale=rescale, sequences=2 * BATCH)
    gates = drop.plan.at(7, 0)
    assert isinstance(gates, RowGates)
    assert any(0 < len(rows) < 2 * BATCH for rows in gates.rows)
    with drop.step(7, first=BATCH):
        found = model(**batch).logits
    drop.detach()
    for row in range(BATCH):
        own = Gates(tuple(row + BATCH in rows for rows in gates.rows), gates.scale, gates.where)
        alone = by_hand(model, architecture.path, own)[0](
            **{name: value[row : row + 1] for name, value in batch.items()}
        )
        torch.testing.assert_close(found[row : row + 1], alone.logits, rtol=1e-4, atol=1e-5)


@EACH
@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_of_blocks(architecture: Architecture, reentrant: bool) -> None:
    model, batch = architecture.build(), architecture.batch()
    if architecture.name == "GPT-2":
        model.config.use_cache = False
    drop = attach(model, HALF, steps=STEPS)
    (step,) = changing_steps(drop, 1)
    with drop.step(step):
        model(**batch).loss.backward()
    expected = gradients(model)
    model.zero_grad(set_to_none=True)
    # the name before transformers 5.23
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
    with drop.step(step):
        loss = model(**batch).loss
    loss.backward()  # the blocks are computed again after the step was closed
    found = gradients(model)
    assert all((expected[name] is None) == (found[name] is None) for name in expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


@EACH
def test_detached_is_as_before(architecture: Architecture) -> None:
    model = architecture.build()
    stack = model.get_submodule(architecture.path)
    before = (
        type(stack),
        dict(stack.__dict__),
        list(model.state_dict()),
        [name for name, _ in model.named_modules()],
        len(model._forward_hooks),
    )
    drop = attach(model, HALF, steps=STEPS)
    assert list(model.state_dict()) == before[2]
    assert [name for name, _ in model.named_modules()] == before[3]
    drop.detach()
    drop.detach()
    assert (
        type(stack),
        dict(stack.__dict__),
        list(model.state_dict()),
        [name for name, _ in model.named_modules()],
        len(model._forward_hooks),
    ) == before
