"""The treatment of the weights of blocks or half-blocks that no group of a step has kept: `skipped`.

These weights are the parameters of blocks whose gradient is None after the backward pass.

    freeze      nothing is done: AdamW and Muon leave weights, moments and step counts alone
    decay       w = (1 - lr weight_decay) w for matrices, the same decay as in AdamW; moments and step counts stay
    zero_grad   the gradient is 0 and AdamW steps: momentum still moves the weights, moments shrink, matrices decay
                (DeepSpeed); refused for Muon
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pld_search.training.parallel.shared_tensors import own_part


def without_gradient(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Returns the parameters that the step did not use: their gradient is None. A gradient of 0 is a gradient."""
    return [parameter for parameter in parameters if parameter.grad is None]


def zero_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sets a gradient of 0 for each parameter without a gradient."""
    for parameter in without_gradient(parameters):
        parameter.grad = torch.zeros_like(parameter)


@torch.no_grad()
def decay(parameters: Iterable[nn.Parameter], rate: float, grad_norm: Tensor) -> None:
    """Multiplies the matrices without a gradient by 1 - `rate` (lr x weight decay); by 1 if the step's gradients are
    not finite.

    A step without finite gradients changes no weight at all. The device decides this without synchronisation.
    """
    factor = torch.where(torch.isfinite(grad_norm), 1.0 - rate, 1.0).to(torch.float32)
    for parameter in without_gradient(parameters):
        if parameter.ndim >= 2:
            own_part(parameter).mul_(factor)
