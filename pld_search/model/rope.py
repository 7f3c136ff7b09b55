"""Rotary positions (Su et al., "RoFormer", 2021, eq. 34): queries and keys are rotated by their position, so that
scores depend on distances.

Values 2j and 2j + 1 of a head are one pair, as in the paper: position t rotates it by t base^(-2j / D). A pair is one
complex number, and a rotation is one product. transformers pairs value j with value j + D / 2 instead, so conversions
reorder the rows of a matrix (`paired`, `halved`).

Shapes: B sequences, L positions, N heads, D values a head, H = N D.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rotation(width: int, base: float, length: int, device: torch.device) -> Tensor:
    """Returns cosine and sine of every position and pair, float32 (L, 1, D / 2, 2), for heads of `width` values."""
    rate = 1.0 / (base ** (torch.arange(0, width, 2, dtype=torch.float32, device=device) / width))
    angle = torch.arange(length, dtype=torch.float32, device=device)[:, None, None] * rate
    return torch.stack([angle.cos(), angle.sin()], -1)


def rotated(qkv_BLW: Tensor, heads: int, turns: Tensor) -> Tensor:
    """Returns fused projections (B, L, 3 H) with queries and keys rotated by `rotation`; values stay unchanged.

    In eager mode the projections are changed in place: nothing else reads them, so no copy is kept.
    """
    if torch.compiler.is_compiling():  # the compiler does not support complex numbers
        pairs, (cos, sin) = _pairs(qkv_BLW, heads).float(), turns.unbind(-1)
        one, other = pairs.unbind(-1)
        turned = torch.stack([one * cos - other * sin, other * cos + one * sin], -1).to(qkv_BLW.dtype)
        return torch.cat([turned.flatten(2), qkv_BLW[..., qkv_BLW.shape[-1] // 3 * 2 :]], -1)
    result: Tensor = _Rotated.apply(qkv_BLW, heads, turns)  # type: ignore[no-untyped-call]
    return result


class _Rotated(torch.autograd.Function):
    """A rotation; its gradient is rotated back."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, turns: Tensor) -> Tensor:
        ctx.heads, ctx.turns = heads, torch.view_as_complex(turns)
        ctx.mark_dirty(qkv)
        _turn(_pairs(qkv, heads), ctx.turns)
        return qkv

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        grad = gradients[0].clone(memory_format=torch.contiguous_format)
        _turn(_pairs(grad, ctx.heads), ctx.turns.conj())
        return grad, None, None


def _pairs(qkv: Tensor, heads: int) -> Tensor:
    """Returns a view (B, L, 2 N, D / 2, 2) of queries and keys."""
    batch, length, width = qkv.shape
    return qkv[..., : width // 3 * 2].view(batch, length, 2 * heads, width // (6 * heads), 2)


def _turn(pairs: Tensor, turns: Tensor) -> None:
    """Rotates in place, computed in float32."""
    if pairs.dtype == torch.float32:
        torch.view_as_complex(pairs).mul_(turns)
    else:
        pairs.copy_(torch.view_as_real(torch.view_as_complex(pairs.float()) * turns))


def paired(rows: Tensor, heads: int) -> Tensor:
    """Reorders rows of a query's or key's projection (H, ...) from transformers' order, halves, to ours, pairs."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def halved(rows: Tensor, heads: int) -> Tensor:
    """Inverts `paired`."""
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)
