"""Dropout by 16-bit words against what dropout is."""

from __future__ import annotations

import pytest
import torch

from pld_search.model.dropout import dropout


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
