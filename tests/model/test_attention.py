"""Attention with dropout on a CPU, piece by piece, against torch's own and against the formula under the same words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pld_search.model import attention as module
from pld_search.model.attention import attention
from pld_search.model.dropout import keep_of, words

BATCH, LENGTH, HEADS, WIDTH = 2, 6, 3, 4
P = 0.2


def apart(qkv: Tensor) -> tuple[Tensor, ...]:
    batch, length, width = qkv.shape
    return tuple(part.view(batch, length, HEADS, width // (3 * HEADS)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))


def joined(mixed: Tensor) -> Tensor:
    return mixed.transpose(1, 2).flatten(2)


def masks(length: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor | None]:
    seen = torch.ones(BATCH, 1, 1, length, dtype=torch.bool)
    seen[1, ..., -2:] = False
    return {
        "none": None,
        "bool": seen,
        "bias": torch.randn(1, HEADS, length, length, dtype=dtype),
        "own": torch.randn(BATCH, 1, length, length, dtype=dtype),
    }


def inputs(length: int = LENGTH, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(BATCH, length, 3 * HEADS * WIDTH, dtype=dtype, requires_grad=True)


def formula(qkv: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """With one draw of words for all heads, in their order."""
    q, k, v = apart(qkv)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    keep = keep_of(p)
    return joined((scores.softmax(-1) * (words(scores.shape) >= keep.least) * keep.scale) @ v)


@pytest.mark.parametrize("kind", ["none", "bool", "bias", "own"])
@pytest.mark.parametrize("piece", [1, 2 * LENGTH**2, 4 * LENGTH**2, 10**6])
def test_values_and_gradients_are_those_of_the_formula_in_pieces_of_any_size(
    kind: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """36 scores a matrix are nine whole words, so a draw in pieces is the draw of all: heads by heads, one sequence,
    and both at once.
    """
    monkeypatch.setattr(module, "PIECE", piece)
    torch.manual_seed(5)
    qkv, mask = inputs(), masks(LENGTH)[kind]
    torch.manual_seed(6)
    expected = formula(qkv, mask, P)
    torch.manual_seed(6)
    found = attention(qkv, HEADS, mask, P, training=True)
    torch.testing.assert_close(found, expected)
    given = torch.randn_like(expected)
    torch.testing.assert_close(*(torch.autograd.grad(each, qkv, given)[0] for each in (found, expected)))


@pytest.mark.parametrize("length", [1, 5, 7])
def test_lengths_that_fill_no_words(length: int) -> None:
    qkv = inputs(length)
    attention(qkv, HEADS, None, P, training=True).sum().backward()
    assert qkv.grad is not None and bool(qkv.grad.isfinite().all())


def test_one_head_leaves_the_gradient_it_was_given_alone() -> None:
    qkv = torch.randn(1, LENGTH, 3 * WIDTH, requires_grad=True)
    given = torch.ones(1, LENGTH, WIDTH)
    attention(qkv, 1, None, P, training=True).backward(given)
    assert torch.equal(given, torch.ones_like(given))


@pytest.mark.parametrize("kind", ["none", "bool", "bias"])
def test_it_is_torchs_own_where_dropout_is_averaged_out(kind: str) -> None:
    torch.manual_seed(4)
    qkv, mask = inputs().detach(), masks(LENGTH)[kind]
    q, k, v = apart(qkv)
    exact = joined(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))
    torch.testing.assert_close(attention(qkv, HEADS, mask, 0.1, training=False), exact)
    draws = torch.stack([attention(qkv, HEADS, mask, P, training=True) for _ in range(4000)])
    error = draws.std(0) / 4000**0.5
    assert ((draws.mean(0) - exact).abs() <= 5 * error + 1e-3).all()
    assert draws.std(0).max() > 0.01


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_near_and_stay_halves(dtype: torch.dtype) -> None:
    """The weights are made in float32, as under autocast, and only their products are in halves."""
    torch.manual_seed(7)
    qkv = inputs(dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        torch.manual_seed(8)
        found = attention(qkv.to(dtype), HEADS, None, P, training=True)
    torch.manual_seed(8)
    whole = attention(qkv, HEADS, None, P, training=True)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), whole, atol=0.05, rtol=0.05)
    gradients = [torch.autograd.grad(each.float().square().sum(), qkv)[0] for each in (found, whole)]
    torch.testing.assert_close(*gradients, atol=0.1, rtol=0.1)
