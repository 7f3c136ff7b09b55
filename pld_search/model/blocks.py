"""One block of the encoder: self-attention and feed-forward, each on a residual path that a gate can scale.

Shapes: B sequences, L positions, H hidden width, N heads, D = H / N. Whether a block is computed at all is decided
outside (encoder.py), and a scale arrives as a 0-d tensor, so that a compiled block needs two graphs for every schedule:
without and with a scale (two of each half, where halves are drawn apart).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pld_search.model.attention import attention
from pld_search.model.block_calls import Part, Where
from pld_search.model.dropout import dropout
from pld_search.model.transformers_config import PldBertConfig


def scaled(residual: Tensor, scale: Tensor | None) -> Tensor:
    """`residual * scale`; without a scale the tensor itself, so that an open gate changes no bit."""
    return residual if scale is None else residual * scale


def around(x: Tensor, y: Tensor, scale: Tensor | float) -> Tensor:
    """A block that made y of x, its whole residual multiplied by `scale`: x + scale (y - x)."""
    return x + (y - x) * scale


class Attention(nn.Module):
    """Bidirectional self-attention; query, key and value come from one matrix (their rows in this order)."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.hidden_size)
        self.attention_dropout = float(config.attention_probs_dropout_prob)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, x_BLH: Tensor, mask: Tensor | None) -> Tensor:
        """(B, L, H) -> (B, L, H). `mask` broadcasts to (B, N, L, L): bool (True is seen) or a float bias; None: all see
        all.
        """
        mixed_BLH = attention(self.qkv(x_BLH), self.heads, mask, self.attention_dropout, self.training)
        return dropout(self.out(mixed_BLH), self.dropout, self.training)


class FeedForward(nn.Module):
    """Two linear maps with the exact (erf) GELU of BERT between them, position by position."""

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = float(config.hidden_dropout_prob)

    def forward(self, x_BLH: Tensor) -> Tensor:
        """(B, L, H) -> (B, L, H)."""
        return dropout(self.down(F.gelu(self.up(x_BLH))), self.dropout, self.training)


class Block(nn.Module):
    """One layer. `pre` (Xiong et al., 2020): h = x + s A(N x), y = h + s F(N h). `post` (BERT): h = N(x + s A(x)), y =
    N(h + s F(h)).
    """

    def __init__(self, config: PldBertConfig) -> None:
        super().__init__()
        self.norm_first = config.norm == "pre"
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = Attention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(
        self,
        x_BLH: Tensor,
        mask: Tensor | None,
        scale: Tensor | None = None,
        where: Where = "sublayer",
        part: Part = "both",
    ) -> Tensor:
        """(B, L, H) -> (B, L, H). `scale` (0-d) multiplies each sublayer's residual, or with `where="block"` that of
        the whole block.

        `part`: a half that is left out is the identity, its LayerNorm included.
        """
        if scale is not None and where == "block":
            return around(x_BLH, self._sublayers(x_BLH, mask, None, part), scale)
        return self._sublayers(x_BLH, mask, scale, part)

    def _sublayers(self, x: Tensor, mask: Tensor | None, scale: Tensor | None, part: Part) -> Tensor:
        h = x if part == "feed_forward" else self._attend(x, mask, scale)
        return h if part == "attention" else self._feed(h, scale)

    def _attend(self, x: Tensor, mask: Tensor | None, scale: Tensor | None) -> Tensor:
        if self.norm_first:
            return x + scaled(self.attention(self.attention_norm(x), mask), scale)
        h: Tensor = self.attention_norm(x + scaled(self.attention(x, mask), scale))
        return h

    def _feed(self, h: Tensor, scale: Tensor | None) -> Tensor:
        if self.norm_first:
            return h + scaled(self.feed_forward(self.feed_forward_norm(h)), scale)
        y: Tensor = self.feed_forward_norm(h + scaled(self.feed_forward(h), scale))
        return y
