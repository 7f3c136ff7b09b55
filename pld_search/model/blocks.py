"""One block of the encoder: self-attention and feed-forward, each on a residual path that a gate can scale.

Shapes: B sequences, L positions, H hidden width, N heads, D = H / N. The encoder (encoder.py) decides whether a block
is computed at all, and a scale is a 0-d tensor. So a compiled block needs only two graphs for every schedule: without
and with a scale (two for each half, if halves have separate draws).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.attention import attention
from pld_search.model.block_calls import Part, Where
from pld_search.model.dropout import dropout
from pld_search.model.norms import norm_of
from pld_search.model.rope import rotated
from pld_search.model.surroundings import Surrounding
from pld_search.model.transformers_config import PldBertConfig


def scaled(residual: Tensor, scale: Tensor | None) -> Tensor:
    """Returns `residual * scale`; without a scale the tensor itself, so that an open gate changes no bit."""
    return residual if scale is None else residual * scale


def around(x: Tensor, y: Tensor, scale: Tensor | float) -> Tensor:
    """Returns x + scale (y - x): the output of a block that maps x to y, with its whole residual scaled."""
    return x + (y - x) * scale


class Attention(nn.Module):
    """Bidirectional self-attention. Query, key and value come from one matrix (their rows in this order). Queries and
    keys may be normed head by head and then rotated by their positions (Henry et al., 2020).
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.heads, width = config.num_attention_heads, config.hidden_size
        self.qkv = nn.Linear(width, 3 * width, bias=config.map_bias)
        self.out = nn.Linear(width, width, bias=config.map_bias)
        self.query_norm = norm_of(config, width // self.heads) if config.qk_norm else None
        self.key_norm = norm_of(config, width // self.heads) if config.qk_norm else None
        self.attention_dropout = float(config.attention_probs_dropout_prob)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, x_BLH: Tensor, beside: Surrounding) -> Tensor:
        """Maps (B, L, H) to (B, L, H)."""
        qkv_BLW = self.qkv(x_BLH)
        if self.query_norm is not None and self.key_norm is not None:
            query, key, value = qkv_BLW.unflatten(-1, (3, self.heads, -1)).unbind(2)
            normed = (self.query_norm(query), self.key_norm(key), value)
            qkv_BLW = torch.cat([each.to(value.dtype).flatten(2) for each in normed], -1)
        if beside.turns is not None:
            qkv_BLW = rotated(qkv_BLW, self.heads, beside.turns)
        mixed_BLH = attention(qkv_BLW, self.heads, beside.mask, self.attention_dropout, self.training)
        return dropout(self.out(mixed_BLH), self.dropout, self.training)


class FeedForward(nn.Module):
    """Two linear maps with a non-linearity between them, position by position. It is BERT's exact (erf) GELU; or ReLU
    squared (So et al., "Primer", 2021); or one half of the inner values activated, times the other half (Shazeer, "GLU
    Variants Improve Transformer", 2020: geglu, swiglu).
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.kind = config.feed_forward
        self.up = nn.Linear(width, (2 if config.gated else 1) * inner, bias=config.map_bias)
        self.down = nn.Linear(inner, width, bias=config.map_bias)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, x_BLH: Tensor) -> Tensor:
        """Maps (B, L, H) to (B, L, H)."""
        return dropout(self.down(self._activated(self.up(x_BLH))), self.dropout, self.training)

    def _activated(self, inner: Tensor) -> Tensor:
        if self.kind == "gelu":
            return F.gelu(inner)
        if self.kind == "relu2":
            return F.relu(inner).square()
        active, gate = inner.chunk(2, -1)
        return (F.gelu(active) if self.kind == "geglu" else F.silu(active)) * gate


class Block(nn.Module):
    """One layer. `pre` (Xiong et al., 2020): h = x + s A(N x), y = h + s F(N h). `post` (BERT): h = N(x + s A(x)), y =
    N(h + s F(h)). `sandwich` (Ding et al., "CogView", 2021): h = x + s N'(A(N x)), y = h + s N'(F(N h)).

    place: the place of the layer in its network, from 1; the first may have no norm before its attention.
    """

    def __init__(self, config: PldBertConfig, place: int) -> None:
        super().__init__()
        self.norm_first, after = config.norm != "post", config.norm == "sandwich"
        self.attention_norm = norm_of(config) if place > 1 or config.first_norm else None
        self.attention = Attention(config)
        self.attention_norm_after = norm_of(config) if after else None
        self.feed_forward_norm = norm_of(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm_after = norm_of(config) if after else None

    def forward(
        self,
        x_BLH: Tensor,
        beside: Surrounding,
        scale: Tensor | None = None,
        where: Where = "sublayer",
        part: Part = "both",
    ) -> Tensor:
        """Maps (B, L, H) to (B, L, H). `scale` (0-d) multiplies each sublayer's residual or, with `where="block"`, the
        residual of the whole block.

        `part`: the half that runs; the other half is the identity, its norms included.
        """
        if scale is not None and where == "block":
            return around(x_BLH, self._sublayers(x_BLH, beside, None, part), scale)
        return self._sublayers(x_BLH, beside, scale, part)

    def _sublayers(self, x: Tensor, beside: Surrounding, scale: Tensor | None, part: Part) -> Tensor:
        h = x if part == "feed_forward" else self._attend(x, beside, scale)
        return h if part == "attention" else self._feed(h, beside, scale)

    def _attend(self, x: Tensor, beside: Surrounding, scale: Tensor | None) -> Tensor:
        if self.norm_first:
            given = x if self.attention_norm is None else scaled(self.attention_norm(x), beside.norm_scale)
            found = self.attention(given, beside)
            return x + scaled(found if self.attention_norm_after is None else self.attention_norm_after(found), scale)
        assert self.attention_norm is not None
        h: Tensor = self.attention_norm(x + scaled(self.attention(x, beside), scale))
        return h

    def _feed(self, h: Tensor, beside: Surrounding, scale: Tensor | None) -> Tensor:
        if self.norm_first:
            found = self.feed_forward(scaled(self.feed_forward_norm(h), beside.norm_scale))
            after = self.feed_forward_norm_after
            return h + scaled(found if after is None else after(found), scale)
        y: Tensor = self.feed_forward_norm(h + scaled(self.feed_forward(h), scale))
        return y
