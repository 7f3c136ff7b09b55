"""What the optimizer does with the weights of blocks, or halves of blocks, that no group of a step has kept: `skipped`.

They are the parameters of blocks whose gradient is None after the backward pass.

    freeze      nothing is done: AdamW and Muon leave weights, moments and step counts alone
    decay       w = (1 - lr weight_decay) w for matrices, the decay AdamW gives the others; moments and counts stay
    zero_grad   the gradient is 0 and AdamW steps: momentum moves the weights on, moments shrink, matrices decay
                (DeepSpeed); refused for Muon
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pld_search.training.parallel.shared_tensors import own_part


def without_gradient(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """What nothing of a step ran through: a gradient of 0 is one, None is not."""
    return [parameter for parameter in parameters if parameter.grad is None]


def zero_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """A gradient of 0 for each parameter without one."""
    for parameter in without_gradient(parameters):
        parameter.grad = torch.zeros_like(parameter)


@torch.no_grad()
def decay(parameters: Iterable[nn.Parameter], rate: float, grad_norm: Tensor) -> None:
    """Multiply the matrices without a gradient by 1 - `rate` (lr x weight decay); by 1 where the step's gradients are
    not finite.

    Such a step changes no weight at all, and the device decides it without being waited for.
    """
    factor = torch.where(torch.isfinite(grad_norm), 1.0 - rate, 1.0).to(torch.float32)
    for parameter in without_gradient(parameters):
        if parameter.ndim >= 2:
            own_part(parameter).mul_(factor)
