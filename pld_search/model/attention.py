"""Self-attention with fused projections; dropout of its weights is as fast as each device allows.

On CUDA, inside a compiled block and without dropout, torch's own attention is fused and is used. With dropout on a CPU,
torch writes the scores of all heads several times. Here they are computed in pieces that fit a cache. Kept are the
weights and 16 bits for each weight that decide which are dropped (dropout.py): six bytes for each score instead of
twelve. benchmarks/README.md has the times.

Shapes: B sequences, L positions, N heads, D values a head, H = N D; a piece is some of the B N matrices of scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pld_search.model.dropout import Keep, by_words, keep_of, stays, words

PIECE = 1 << 18
"""The largest number of scores processed at a time, unless one matrix is larger: a megabyte."""


def attention(qkv_BLW: Tensor, heads: int, mask: Tensor | None, p: float, training: bool) -> Tensor:
    """Returns softmax(q k' / sqrt(D) + mask) v with dropout p on the weights, (B, L, H). Queries, keys and values are
    side by side in `qkv_BLW`, (B, L, 3 H).

    `mask`: bool (True is seen) or a float bias, broadcast to (B, N, L, L); it gets no gradient.
    """
    batch, length, width = qkv_BLW.shape
    if by_words(qkv_BLW, p, training):
        mixed: Tensor = _WithDropout.apply(qkv_BLW, heads, mask, p)  # type: ignore[no-untyped-call]
        return mixed
    q, k, v = qkv_BLW.view(batch, length, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4).unbind(0)
    mixed_BNLD = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p if training else 0.0)
    return mixed_BNLD.transpose(1, 2).reshape(batch, length, width // 3)


class _ScoreShape(NamedTuple):
    batch: int
    length: int
    heads: int
    width: int

    def apart(self, joined: Tensor, parts: int) -> Tensor:
        """Maps (B, L, parts N D) to (parts, B, N, L, D), contiguous."""
        return joined.view(self.batch, self.length, parts, self.heads, self.width).permute(2, 0, 3, 1, 4).contiguous()

    def joined(self, apart: Tensor) -> Tensor:
        """Inverts `apart`."""
        return apart.permute(1, 3, 0, 2, 4).reshape(self.batch, self.length, -1)

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Yields (sequences, heads): several whole sequences, or some heads of one sequence, so that a piece is
        contiguous in memory.
        """
        matrices = max(1, PIECE // self.length**2)
        sequences, heads = max(1, matrices // self.heads), min(matrices, self.heads)
        for first in range(0, self.batch, sequences):
            for head in range(0, self.heads, heads):
                yield slice(first, min(first + sequences, self.batch)), slice(head, min(head + heads, self.heads))


class _WithDropout(torch.autograd.Function):
    """Computes forward and backward piece by piece; saves the projections, and weights and words of each piece."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, heads: int, mask: Tensor | None, p: float) -> Tensor:
        batch, length, width = qkv.shape
        shape, keep = _ScoreShape(batch, length, heads, width // (3 * heads)), keep_of(p)
        parts = shape.apart(qkv, 3)
        whole_mask = None if mask is None else mask.expand(batch, heads, length, length)
        mixed, saved = torch.empty_like(parts[:1]), [parts]
        with torch.autocast(qkv.device.type, enabled=False):
            for at in shape.pieces():
                q, k, v = (part[at].flatten(0, 1) for part in parts)
                weights = _weights(q, k, None if whole_mask is None else whole_mask[at])
                drawn = words(weights.shape)
                dropped = _dropped(weights, drawn, keep).to(v.dtype)
                torch.baddbmm(v, dropped, v, beta=0, alpha=keep.scale, out=mixed[0][at].flatten(0, 1))
                saved += [weights, drawn]
        ctx.save_for_backward(*saved)
        ctx.shape, ctx.keep = shape, keep
        return shape.joined(mixed)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        shape, keep = ctx.shape, ctx.keep
        parts, *saved = ctx.saved_tensors
        mixed = shape.apart(gradients[0] * keep.scale, 1)[0]
        found = torch.empty_like(parts)
        for at, weights, drawn in zip(shape.pieces(), saved[::2], saved[1::2], strict=True):
            q, k, v = (part[at].flatten(0, 1) for part in parts)
            of_q, of_k, of_v = (part[at].flatten(0, 1) for part in found)
            given = mixed[at].flatten(0, 1)
            torch.bmm(_dropped(weights, drawn, keep).to(v.dtype).transpose(1, 2), given, out=of_v)
            of_weights = _dropped(torch.bmm(given, v.transpose(1, 2)).to(weights.dtype), drawn, keep)
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype).to(q.dtype)
            torch.baddbmm(q, of_scores, k, beta=0, alpha=shape.width**-0.5, out=of_q)
            torch.baddbmm(k, of_scores.transpose(1, 2), q, beta=0, alpha=shape.width**-0.5, out=of_k)
        return shape.joined(found), None, None, None


def _weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Returns softmax(q k' / sqrt(D) + mask) of a piece, at least in float32: (matrices, L, L)."""
    length, width = q.shape[-2:]
    scores = q.new_empty(len(q), length, length)
    torch.baddbmm(scores, q, k.transpose(1, 2), beta=0, alpha=width**-0.5, out=scores)
    if mask is not None:
        of_heads = scores.view(mask.shape)
        scores = (of_heads.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else of_heads + mask).view(
            scores.shape
        )
    half = scores.dtype in (torch.float16, torch.bfloat16)
    return scores.softmax(-1, dtype=torch.float32 if half else None)


def _dropped(values: Tensor, drawn: Tensor, keep: Keep) -> Tensor:
    """Returns `values`, 0 where their word drops them; the scale is applied to the other factor of the product."""
    return stays(drawn, keep, values.dtype).mul_(values)
