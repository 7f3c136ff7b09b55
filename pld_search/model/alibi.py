"""Attention with linear biases (Press, Smith & Lewis, "Train Short, Test Long", ICLR 2022), symmetric for a
bidirectional encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor


def slopes(heads: int) -> list[float]:
    """Returns one slope for each head: 2^(-8 i / heads), i = 1 .. heads, if `heads` is a power of two.

    Other numbers have the slopes of the next smaller power of two, then every second slope of the next larger one
    (`get_slopes` of github.com/ofirpress/attention_with_linear_biases, fairseq/models/transformer.py).

    >>> slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    power = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    return first if power == heads else first + slopes(2 * power)[0::2][: heads - power]


def bias(heads: int, length: int, device: torch.device) -> Tensor:
    """Returns -slope |i - j| as float32 of shape (1, heads, length, length)."""
    place = torch.arange(length, device=device)
    distance = (place[:, None] - place[None, :]).abs()
    slope = torch.tensor(slopes(heads), dtype=torch.float32, device=device)
    return (-slope[:, None, None] * distance).unsqueeze(0)
