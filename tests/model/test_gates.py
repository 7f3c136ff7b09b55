"""Gates: what a scale does, that a shut gate costs nothing, and that open gates change no bit."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from pld_search.model.bert import PldBertForMaskedLM
from pld_search.model.surroundings import Surrounding
from pld_search.schedules.plan import Gates
from tests.model.helpers import LAYERS, assert_open_gates_change_no_bit, gates, inputs, model_of

NORMS = pytest.mark.parametrize("norm", ["pre", "post"])
WHERE = pytest.mark.parametrize("where", ["sublayer", "block", "none"])


def by_hand(model: PldBertForMaskedLM, x: torch.Tensor, given: Gates) -> torch.Tensor:
    """The definitions, written once more."""
    for block, keep, s in zip(model.bert.encoder.blocks, given.keep, given.scale, strict=True):
        attend, feed = (lambda h, b=block: b.attention(h, Surrounding())), block.feed_forward
        first, second = block.attention_norm, block.feed_forward_norm
        inner = s if given.where == "sublayer" else 1.0
        if not keep:
            continue
        if block.norm_first:
            h = x + inner * attend(first(x))
            y = h + inner * feed(second(h))
        else:
            h = first(x + inner * attend(x))
            y = second(h + inner * feed(h))
        x = x + s * (y - x) if given.where == "block" else y
    return x


@NORMS
@WHERE
def test_scales_as_defined(norm: str, where: str) -> None:
    model = model_of(norm)
    x = torch.randn(2, 8, 32, generator=torch.Generator().manual_seed(0))
    given = Gates((True, False, True), (1.25, 1.0, 2.0), where)  # type: ignore[arg-type]
    assert_close(model.bert.encoder(x, None, given), by_hand(model, x, given), rtol=1e-5, atol=1e-5)
    if where != "none":
        other = Gates((True, False, True), (1.25, 1.0, 1.5), where)  # type: ignore[arg-type]
        assert not torch.allclose(model.bert.encoder(x, None, other), model.bert.encoder(x, None, given))


@NORMS
@WHERE
def test_open_gates_are_bit_equal_to_none(norm: str, where: str) -> None:
    assert_open_gates_change_no_bit(norm, gates("111", 1.0, where))


@NORMS
def test_a_shut_block_is_not_called_and_keeps_gradients_none(norm: str) -> None:
    model = model_of(norm, dropout=0.1)
    called: list[int] = []
    for index, block in enumerate(model.bert.encoder.blocks):
        for module in block.modules():
            module.register_forward_hook(lambda *_, index=index: called.append(index))
    model(**inputs(), gates=gates("101", 2.0)).loss.backward()
    assert set(called) == {0, 2}
    counted = 0
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == ("blocks.1." in name), name
        counted += parameter.grad is None
    assert counted == 12


@NORMS
def test_all_gates_shut_leave_the_embeddings(norm: str) -> None:
    model = model_of(norm)
    ids = inputs()["input_ids"]
    hidden = model.bert(ids, gates=gates("000")).last_hidden_state
    assert torch.equal(hidden, model.bert.encoder.finish(model.bert.embeddings(ids, None)))


@NORMS
def test_a_shut_block_is_as_if_it_did_not_exist(norm: str) -> None:
    model = model_of(norm)
    batch = inputs()
    dropped = model(**batch, gates=gates("101")).logits
    del model.bert.encoder.blocks[1]
    assert torch.equal(model(**batch).logits, dropped)


def test_gates_of_another_depth_are_refused() -> None:
    with pytest.raises(ValueError, match=f"2 gates for {LAYERS} blocks"):
        model_of("pre")(**inputs(), gates=gates("11"))


def test_a_block_rescaled_as_a_whole_is_unbiased_where_sublayers_are_not() -> None:
    """E over one gate of probability p, by its two outcomes: block scaling reproduces full depth."""
    model, p = model_of("pre").double(), 0.6
    x = torch.randn(2, 8, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    full = model.bert.encoder(x, None, gates("100"))
    mean = {
        where: p * model.bert.encoder(x, None, gates("100", 1 / p, where)) + (1 - p) * x
        for where in ("block", "sublayer")
    }
    assert_close(mean["block"], full, rtol=1e-12, atol=1e-12)
    assert (mean["sublayer"] - full).abs().max() > 1e-3
