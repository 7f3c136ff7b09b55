"""Norms of both kinds, with and without biases, as modules that initial values and optimizers recognise by class.

LayerNorm (Ba et al., 2016): w (x - mean) / sqrt(var + eps) + b. RMSNorm (Zhang & Sennrich, 2019): w x / sqrt(mean x^2 +
eps), without a bias.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pld_search.model.transformers_config import PldBertConfig


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm in float32. On a CPU, torch composes it of five operations that each keep a copy; there it has
    its own forward and backward, which keep the input and one number for each row.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Returns x normed over the last dimension, float32."""
        x = x.float()
        assert self.eps is not None
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)
        normed: Tensor = _RMSNorm.apply(x, self.weight, self.eps)  # type: ignore[no-untyped-call]
        return normed


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rate: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, rate)
        return (x * rate).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight, rate = ctx.saved_tensors
        normed = x * rate
        of_weight = (grad * normed).flatten(0, -2).sum(0)
        of_normed = grad * weight
        along = (of_normed * normed).sum(-1, keepdim=True).div_(x.shape[-1])
        return of_normed.addcmul_(normed, along, value=-1).mul_(rate), of_weight, None


def norm_of(config: PldBertConfig, width: int | None = None) -> nn.Module:
    """Returns the kind of norm in the configuration, over `width` values (None: the hidden width)."""
    width = width or config.hidden_size
    if config.norm_kind == "rms":
        return RMSNorm(width, eps=config.layer_norm_eps)
    return nn.LayerNorm(width, eps=config.layer_norm_eps, bias=config.norm_bias)
