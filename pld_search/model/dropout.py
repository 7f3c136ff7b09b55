"""Dropout as fast as each device allows.

On CUDA and inside a compiled block, torch's own dropout is fused and is used. On a CPU, torch draws 53 random bits for
every value, one value at a time. Here 16 bits decide a value, four values for each drawn word, which halves the time
(benchmarks/README.md).

The share p is rounded to 1/65,536 there, and kept values are scaled by exactly 1 / (1 - rounded p). The words come from
torch's global generator, like torch's own dropout, so its seed decides (training/step.py).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 1 << 16
_LOWEST = -(1 << 63)


class Keep(NamedTuple):
    """The kept values: values whose word is at least `least`, multiplied by `scale`."""

    least: int
    scale: float


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Sets each value to 0 with probability p, else to x / (1 - p); returns x itself if p = 0 or outside training."""
    if not by_words(x, p, training):
        return F.dropout(x, p, training)
    keep = keep_of(p)
    return x * stays(words(x.shape), keep, x.dtype).mul_(keep.scale)


def by_words(x: Tensor, p: float, training: bool) -> bool:
    """Whether values are dropped, and drawing words is the fast method."""
    return training and 0.0 < p < 1.0 and x.device.type == "cpu" and not torch.compiler.is_compiling()


def keep_of(p: float) -> Keep:
    """Returns the kept values for a dropout of p, rounded to 1/65,536."""
    shut = round(p * _LEVELS)
    return Keep(shut - _LEVELS // 2, _LEVELS / (_LEVELS - shut))


def words(shape: torch.Size) -> Tensor:
    """Returns a word of 16 bits for every value of a shape, int16."""
    count = shape.numel()
    return torch.empty(-(-count // 4), dtype=torch.int64).random_(_LOWEST, None).view(torch.int16)[:count].view(shape)


def stays(drawn: Tensor, keep: Keep, dtype: torch.dtype) -> Tensor:
    """Returns 1 where a word keeps its value, else 0, as numbers of `dtype`."""
    # the comparison writes numbers directly: half the time of a bool tensor and its conversion
    ones = torch.empty(drawn.shape, dtype=dtype)
    return torch.ge(drawn, keep.least, out=ones)
