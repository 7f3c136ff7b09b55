"""Dropout, and attention with dropout, as fast as each device allows.

On CUDA and inside a compiled block torch's own are fused and stay. On a CPU torch draws 53 random bits for every value, one
value at a time, and its attention with dropout takes five more passes than it needs; here 16 bits decide over a value, four
values to a drawn word, which halves the time of a dropout and takes a third off an attention (benchmarks/README.md).

The share p is rounded to 1/65,536 there, and what stays is scaled by exactly 1 / (1 - that). The words come from torch's
global generator, like torch's own dropout: its seed decides (training/step.py).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 1 << 16
_LOWEST = -(1 << 63)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Each value is 0 with probability p, else x / (1 - p); x itself where p = 0 or outside training."""
    if not _by_words(x, p, training):
        return F.dropout(x, p, training)
    shut = round(p * _LEVELS)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(_LOWEST, None)
    keep = torch.empty(x.shape, dtype=x.dtype)  # the comparison writes 0 and 1 as x's own type: half the time of a bool tensor and its conversion
    torch.ge(words.view(torch.int16)[: x.numel()].view(x.shape), shut - _LEVELS // 2, out=keep)
    return x * keep.mul_(_LEVELS / (_LEVELS - shut))


def attention(q_BNLD: Tensor, k_BNLD: Tensor, v_BNLD: Tensor, mask: Tensor | None, p: float, training: bool) -> Tensor:
    """softmax(q k' / sqrt(D) + mask) v with dropout p on the weights: (B, N, L, D). `mask`: bool (True is seen) or a float bias, broadcast to (B, N, L, L)."""
    if not _by_words(q_BNLD, p, training):
        return F.scaled_dot_product_attention(q_BNLD, k_BNLD, v_BNLD, attn_mask=mask, dropout_p=p if training else 0.0)
    scores = (q_BNLD * q_BNLD.shape[-1] ** -0.5) @ k_BNLD.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return dropout(scores.softmax(-1), p, training) @ v_BNLD


def _by_words(x: Tensor, p: float, training: bool) -> bool:
    return training and 0.0 < p < 1.0 and x.device.type == "cpu" and not torch.compiler.is_compiling()
