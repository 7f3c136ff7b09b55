"""Decoders, image encoders, encoders with decoders: open gates change no bit, a skipped block is the identity, is not
called and has no gradient.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertForMaskedLM, SwinConfig, SwinModel, T5Config, T5ForConditionalGeneration

from pld_search.errors import AttachError
from pld_search.model.attach.layer_drop import Drop, Drops, attach
from tests.model.attach.more_models import LAYERS, MORE, T5, Attached

STEPS = 40
EACH = pytest.mark.parametrize("attached", MORE.values(), ids=MORE)
HALF: dict[str, Any] = {
    "temporal": {"kind": "constant", "value": 0.5},
    "depth": {"kind": "linear", "index": "(l-1)/(L-1)"},  # the first block stays: T5's holds the bias of all
    "draw": {"kind": "bernoulli", "per": "group", "unit": "layer"},
    "rescale": "block",
    "skipped": "freeze",
}


def opened(attached: Attached, model: nn.Module, schedule: Any = HALF) -> Drop | Drops:
    return attach(
        model, schedule, steps=STEPS, rescale="block", blocks=list(attached.paths) if attached.named else None
    )


def stacks(drop: Drop | Drops) -> tuple[Drop, ...]:
    return drop.stacks if isinstance(drop, Drops) else (drop,)


def a_changing_step(drop: Drop | Drops) -> int:
    """A step at which every stack keeps some blocks and drops others."""
    kept = ([sum(stack.plan.gates(step, 0).keep) for stack in stacks(drop)] for step in range(STEPS))
    return next(step for step, counts in enumerate(kept) if all(0 < count < LAYERS for count in counts))


class Scaled(nn.Module):
    """x + scale (block(x) - x); 0: x, with what stands beside it as the block made it."""

    def __init__(self, block: nn.Module, scale: float) -> None:
        super().__init__()
        self.block, self.scale = block, scale

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("block"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs["hidden_states" if "hidden_states" in kwargs else "src"]
        output = self.block(*args, **kwargs)
        y = output[0] if isinstance(output, tuple) else output
        z = y if self.scale == 1.0 else x if self.scale == 0.0 else x + (y - x) * self.scale
        return (z, *output[1:]) if isinstance(output, tuple) else z


def by_hand(model: nn.Module, drop: Drop | Drops, step: int) -> nn.Module:
    """A copy of the model whose blocks run as the gates of a step say."""
    own = copy.deepcopy(model)
    for stack in stacks(drop):
        gates, blocks = stack.plan.gates(step, 0), own.get_submodule(stack.path)
        assert isinstance(blocks, nn.ModuleList)
        for index, (keep, scale) in enumerate(zip(gates.keep, gates.scale, strict=True)):
            blocks[index] = Scaled(blocks[index], scale if keep else 0.0)
    return own


@EACH
def test_open_gates_change_no_bit(attached: Attached) -> None:
    model, batch = attached.build(), attached.batch()
    before = model(**batch)
    drop = opened(attached, model, {**HALF, "temporal": {"kind": "constant", "value": 1.0}})
    assert tuple(stack.path for stack in stacks(drop)) == attached.paths
    with drop.step(0):
        after = model(**batch)
    assert torch.equal(before.logits, after.logits)


@EACH
def test_a_skipped_block_is_the_identity_and_costs_nothing(attached: Attached) -> None:
    model, batch = attached.build(), attached.batch()
    drop = opened(attached, model)
    step = a_changing_step(drop)
    expected = by_hand(model, drop, step)(**batch)
    calls: list[tuple[str, int]] = []
    for path in attached.paths:
        for index, block in enumerate(model.get_submodule(path).children()):
            block.register_forward_hook(lambda *_, at=(path, index): calls.append(at))
    for _turn in range(2):
        calls.clear()
        model.zero_grad(set_to_none=True)
        with drop.step(step):
            found = model(**batch)
        found.loss.backward()
        torch.testing.assert_close(found.logits, expected.logits)
    kept = [
        (stack.path, index)
        for stack in stacks(drop)
        for index, keep in enumerate(stack.plan.gates(step, 0).keep)
        if keep
    ]
    assert calls == kept  # a block whose form nobody knew ran once, aside, in the first turn
    for stack in stacks(drop):
        blocks = model.get_submodule(stack.path).children()
        for keep, block in zip(stack.plan.gates(step, 0).keep, blocks, strict=True):
            assert keep == any(parameter.grad is not None for parameter in block.parameters())


def test_an_encoder_and_a_decoder_draw_for_themselves() -> None:
    model = MORE["BART"].build()
    drop = opened(MORE["BART"], model)
    assert isinstance(drop, Drops)
    encoder, decoder = (stack.plan for stack in drop.stacks)
    assert any(encoder.gates(step, 0).keep != decoder.gates(step, 0).keep for step in range(STEPS))
    assert drop.layers_kept(3) == sum(encoder.gates(3, 0).keep) + sum(decoder.gates(3, 0).keep)
    alone = attach(MORE["BART"].build(), HALF, steps=STEPS, blocks="encoder.layers")
    assert alone.digest() == drop.stacks[0].digest() != drop.digest()
    drop.detach()
    assert attach(model, HALF, steps=STEPS, blocks=["encoder.layers"]).digest() == alone.digest()


@pytest.mark.parametrize("blocks", [[], ["encoder.layers", "model.encoder.layers"]])
def test_each_stack_is_named_once(blocks: list[str]) -> None:
    with pytest.raises(AttachError, match="name each once"):
        attach(MORE["BART"].build(), HALF, steps=STEPS, blocks=blocks)


def test_the_block_that_makes_what_others_use_is_refused_at_attach() -> None:
    with pytest.raises(
        AttachError, match=r"first block of encoder.block holds .*relative|first block of encoder.block"
    ):
        attach(
            T5ForConditionalGeneration(T5Config(**T5)), "pld", steps=STEPS, rescale="block", blocks=["encoder.block"]
        )


def test_shared_layers_are_called_by_their_name() -> None:
    config = AlbertConfig(embedding_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, vocab_size=31)
    with pytest.raises(AttachError, match=r"4 layers of this AlbertForMaskedLM share the weights of 1"):
        attach(AlbertForMaskedLM(config), "pld", steps=STEPS, rescale="block")


def test_blocks_of_several_widths_are_refused_at_attach() -> None:
    config = SwinConfig(image_size=16, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2)
    with pytest.raises(AttachError, match=r"encoder\.layers change the width"):
        attach(SwinModel(config), "pld", steps=STEPS, rescale="block", blocks="encoder.layers")
