"""Halves of blocks and rows of a batch: what runs is what the gates name, and the rest is the identity."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from pld_search.model.build_model import masked_lm
from pld_search.schedules.plan import AnyGates, Gates, RowGates, SublayerGates
from tests.model.helpers import assert_open_gates_change_no_bit, gates, gradients, inputs, model_of, spec

NORMS = pytest.mark.parametrize("norm", ["pre", "post"])
ROWS = ((0, 2, 3), (1,), (0, 1, 2, 3))
OTHER_ROWS = ((1,), (0, 1, 2, 3), (2, 3))
SCALES = (1.25, 2.0, 1.0)


class _Nothing(nn.Module):
    """A sublayer that adds nothing."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("half", ["attention", "feed_forward"])
@NORMS
def test_a_skipped_half_is_that_half_replaced_by_the_identity(norm: str, half: str) -> None:
    model, batch = model_of(norm), inputs()
    kept = {"attention": "111", "feed_forward": "111", half: "101"}
    skipped = model(**batch, gates=SublayerGates(gates(kept["attention"]), gates(kept["feed_forward"]))).logits
    replaced = copy.deepcopy(model)
    block = replaced.bert.encoder.blocks[1]
    setattr(block, half, _Nothing())
    setattr(block, f"{half}_norm", nn.Identity())
    assert torch.equal(skipped, replaced(**batch).logits)
    assert not torch.allclose(skipped, model(**batch).logits)


@NORMS
def test_a_skipped_half_is_not_called_and_its_gradients_stay_none(norm: str) -> None:
    model = model_of(norm, dropout=0.1)
    called: set[str] = set()
    for name, module in model.bert.encoder.blocks.named_modules():
        module.register_forward_hook(lambda *_, name=name: called.add(name))
    model(**inputs(), gates=SublayerGates(gates("011", 2.0), gates("100", 2.0))).loss.backward()
    shut = ("0.attention", "1.feed_forward", "2.feed_forward")
    assert called and not any(name.startswith(shut) for name in called)
    nones = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert len(nones) == 18
    assert all(name.removeprefix("bert.encoder.blocks.").startswith(shut) for name in nones)


@NORMS
@pytest.mark.parametrize("where", ["sublayer", "none"])
def test_everything_kept_is_bit_equal_to_no_gates(norm: str, where: str) -> None:
    every = RowGates(((0, 1, 2, 3),) * 3, (1.0,) * 3, where)  # type: ignore[arg-type]
    assert_open_gates_change_no_bit(norm, every)
    assert_open_gates_change_no_bit(norm, SublayerGates(gates("111", 1.0, where), gates("111", 1.0, where)))
    assert_open_gates_change_no_bit(norm, SublayerGates(every, every))


def alone(given: AnyGates, row: int) -> AnyGates:
    """The gates of one row of a batch, as whole layers or halves."""
    if isinstance(given, SublayerGates):
        return SublayerGates(alone(given.attention, row), alone(given.feed_forward, row))  # type: ignore[type-var]
    assert isinstance(given, RowGates)
    return Gates(tuple(row in rows for rows in given.rows), given.scale, given.where)


def of_rows(kind: str, where: str) -> AnyGates:
    one, other = (RowGates(rows, SCALES, where) for rows in (ROWS, OTHER_ROWS))  # type: ignore[arg-type]
    return one if kind == "layer" else SublayerGates(one, other)


@NORMS
@pytest.mark.parametrize("positions", ["learned", "alibi"])
@pytest.mark.parametrize(
    ("kind", "where"),
    [("layer", "sublayer"), ("layer", "block"), ("layer", "none"), ("sublayer", "sublayer"), ("sublayer", "none")],
)
def test_rows_together_are_each_row_alone(norm: str, positions: str, kind: str, where: str) -> None:
    given, batch = of_rows(kind, where), inputs()
    together, single = (model_of(norm, positions=positions).double() for _ in range(2))
    logits = together(**batch, gates=given).logits
    logits.square().sum().backward()
    for row in range(4):
        one = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        own = single(**one, gates=alone(given, row)).logits
        assert_close(logits[row : row + 1], own, rtol=1e-10, atol=1e-10)
        own.square().sum().backward()
    expected = gradients(single)
    for name, gradient in gradients(together).items():
        assert_close(gradient, expected[name], rtol=1e-8, atol=1e-8)


def test_a_layer_without_rows_is_not_called() -> None:
    model = model_of("pre")
    given = RowGates(((0, 1), (), (1,)), (1.0,) * 3, "none")
    model(**inputs(), gates=given).loss.backward()
    nones = {name.split(".")[3] for name, parameter in model.named_parameters() if parameter.grad is None}
    assert nones == {"1"}


@pytest.mark.parametrize("given", [RowGates(((0,),) * 2, (1.0,) * 2, "none"), SublayerGates(gates("111"), gates("11"))])
def test_gates_of_another_depth_are_refused(given: AnyGates) -> None:
    with pytest.raises(ValueError, match="2 gates for 3 blocks"):
        model_of("pre")(**inputs(), gates=given)


A, B, P = 0.7, -1.3, 0.6


def linear_toy() -> nn.Module:
    """One pre-norm block of linear sublayers: A x and B h."""
    encoder = masked_lm(spec(layers=1)).double().bert.encoder
    block = encoder.blocks[0]
    block.attention_norm = block.feed_forward_norm = nn.Identity()
    block.attention, block.feed_forward = _Times(A), _Times(B)
    return encoder


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.factor * x


def mean_over_draws(where: str, unit: str, scale: float) -> Tensor:
    """The exact expectation over the draws of one layer of keep probability P, times x = 1."""
    toy, x, total = linear_toy(), torch.ones(1, 1, 32, dtype=torch.float64), torch.zeros(())
    for attention, feed in product((0, 1), repeat=2):
        first, second = (gates(str(keep), scale, where) for keep in (attention, feed))
        if unit == "sublayer":
            chance = (P if attention else 1 - P) * (P if feed else 1 - P)
            total = total + chance * toy(x, None, SublayerGates(first, second))
        elif attention == feed:
            total = total + (P if attention else 1 - P) * toy(x, None, first)
    return total[0, 0, 0]


def test_which_rescales_are_unbiased_on_linear_sublayers() -> None:
    full, bias = torch.tensor((1 + A) * (1 + B), dtype=torch.float64), A * B * (1 - P) / P
    assert_close(mean_over_draws("block", "layer", 1 / P), full)
    assert_close(mean_over_draws("sublayer", "sublayer", 1 / P), full)
    assert_close(mean_over_draws("sublayer", "layer", 1 / P) - full, torch.tensor(bias, dtype=torch.float64))
    assert abs(mean_over_draws("none", "layer", 1.0) - full) > 0.1


@pytest.mark.parametrize("unit", ["layer", "sublayer"])
def test_evaluation_scales_are_the_mean_of_unscaled_draws(unit: str) -> None:
    """`rescale: evaluation`: p on the block's residual with shared draws, on each sublayer's with independent ones."""
    toy, x = linear_toy(), torch.ones(1, 1, 32, dtype=torch.float64)
    evaluated = toy(x, None, gates("1", P, "block" if unit == "layer" else "sublayer"))[0, 0, 0]
    assert_close(evaluated, mean_over_draws("none", unit, 1.0))
