"""The masked-LM loss from hidden states, without a second buffer of the size of the logits.

`F.cross_entropy(F.linear(x, W, b))` keeps the log-probabilities, and writes two more buffers of that size, for the
gradients of the loss and of the softmax. At BERT's 30,522 pieces this is most of a head's memory and, on a CPU, a sixth
of its time (benchmarks/README.md). Here one buffer holds logits, log-probabilities and the gradient in turn.

Shapes: M predicted positions, H hidden width, V vocabulary (padded).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -100  # the label of a position without a target, as in torch and transformers


def linear_token_loss(x_MH: Tensor, weight_VH: Tensor, bias_V: Tensor, labels_M: Tensor) -> Tensor:
    """Returns the mean cross entropy (0-d, float32, nats) of `F.linear(x, weight, bias)` over labels != -100; under
    autocast only the product is in half precision.

    The loss has the same bits as `F.cross_entropy` on float32 logits. Its graph supports one backward pass.
    """
    loss: Tensor = _LinearTokenLoss.apply(x_MH, weight_VH, bias_V, labels_M)  # type: ignore[no-untyped-call]
    return loss


class _LinearTokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_MH: Tensor, weight_VH: Tensor, bias_V: Tensor, labels_M: Tensor) -> Tensor:
        logits_MV = F.linear(x_MH, weight_VH, bias_V)
        log_p_MV = _log_softmax(logits_MV)
        ctx.dtype = logits_MV.dtype
        ctx.save_for_backward(x_MH, weight_VH, log_p_MV, labels_M)
        return F.nll_loss(log_p_MV, labels_M, ignore_index=IGNORED)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x_MH, weight_VH, log_p_MV, labels_M = ctx.saved_tensors
        kept_M1 = (labels_M != IGNORED)[:, None]
        # in place: a second backward pass of this graph is an error, because torch checks the versions of saved tensors
        d_MV = log_p_MV.exp_()
        d_MV.scatter_add_(1, labels_M[:, None].clamp(min=0), torch.full_like(kept_M1, -1, dtype=d_MV.dtype))
        d_MV.mul_(kept_M1 * (grad / kept_M1.sum()))
        bias_grad = d_MV.sum(0)
        d_MV = d_MV.to(ctx.dtype)  # only now, with the loss scale; without it fp16 would lose small gradients
        x_grad = (d_MV @ weight_VH.to(ctx.dtype)).to(x_MH.dtype)
        weight_grad = (d_MV.t() @ x_MH.to(ctx.dtype)).to(weight_VH.dtype)
        return x_grad, weight_grad, bias_grad, None


def token_losses(logits_MV: Tensor, labels_M: Tensor) -> Tensor:
    """Returns the cross entropy of each row (M,), float32, 0 if the label is -100. It overwrites float32 logits on a
    CPU. It is for evaluation and has no gradient.
    """
    log_p_MV = _log_softmax(logits_MV)
    losses_M = -log_p_MV.gather(1, labels_M[:, None].clamp(min=0))[:, 0]
    return losses_M.masked_fill(labels_M == IGNORED, 0.0)


def _log_softmax(logits_MV: Tensor) -> Tensor:
    """Returns log-probabilities in float32; in the memory of the logits if they are float32 on a CPU, whose kernel
    reads a row before it writes it.
    """
    if logits_MV.dtype == torch.float32 and logits_MV.device.type == "cpu":
        return torch.log_softmax(logits_MV, -1, out=logits_MV)
    return torch.log_softmax(logits_MV, -1, dtype=torch.float32)
