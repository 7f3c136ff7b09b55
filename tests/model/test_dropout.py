"""Dropout by 16-bit words against what dropout is, and attention with it against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pld_search.model.dropout import attention, dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_and_the_scale(p: float) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(400_000), p, training=True)
    kept = dropped[dropped != 0]
    shut = round(p * 65536) / 65536
    assert kept.unique().tolist() == pytest.approx([1 / (1 - shut)], rel=1e-6)
    assert 1 - len(kept) / len(dropped) == pytest.approx(shut, abs=4 * (p * (1 - p) / 400_000) ** 0.5)


def test_every_lane_of_a_word_is_as_likely() -> None:
    torch.manual_seed(1)
    shut = (dropout(torch.ones(100_000, 4), 0.1, training=True) == 0).float()
    assert shut.mean(0).tolist() == pytest.approx([0.1] * 4, abs=4 * (0.09 / 100_000) ** 0.5)
    assert abs(torch.corrcoef(shut.T) - torch.eye(4)).max() < 4 / 100_000**0.5


def test_values_beside_each_other_and_draws_after_each_other_differ() -> None:
    torch.manual_seed(2)
    first, second = (dropout(torch.ones(7, 13), 0.5, training=True) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(2)
    assert torch.equal(first, dropout(torch.ones(7, 13), 0.5, training=True))


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.3, False)])
def test_nothing_is_dropped_and_nothing_drawn(p: float, training: bool) -> None:
    x = torch.randn(5, 3)
    before = torch.random.get_rng_state()
    assert torch.equal(dropout(x, p, training), x)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_gradient_is_the_mask() -> None:
    torch.manual_seed(3)
    x = torch.randn(50, 7, requires_grad=True)
    y = dropout(x, 0.25, training=True)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad * x, y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_precision_stays(dtype: torch.dtype) -> None:
    assert dropout(torch.ones(9, dtype=dtype), 0.1, training=True).dtype == dtype


def masks(length: int) -> dict[str, torch.Tensor | None]:
    seen = torch.ones(2, 1, 1, length, dtype=torch.bool)
    seen[1, ..., -2:] = False
    return {"none": None, "bool": seen, "bias": torch.randn(1, 3, length, length)}


@pytest.mark.parametrize("kind", ["none", "bool", "bias"])
def test_attention_is_torchs_own_where_a_mask_of_dropout_is_averaged_out(kind: str) -> None:
    torch.manual_seed(4)
    q, k, v = (torch.randn(2, 3, 6, 4, dtype=torch.float64) for _ in range(3))
    mask = masks(6)[kind]
    mask = mask.double() if mask is not None and mask.is_floating_point() else mask
    exact = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert torch.equal(attention(q, k, v, mask, 0.1, training=False), exact)
    draws = torch.stack([attention(q, k, v, mask, 0.2, training=True) for _ in range(4000)])
    error = draws.std(0) / 4000**0.5
    assert ((draws.mean(0) - exact).abs() <= 5 * error + 1e-3).all()
    assert draws.std(0).max() > 0.01
