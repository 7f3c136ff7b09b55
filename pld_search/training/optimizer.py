"""AdamW as BERT uses it: weight decay on matrices (embeddings among them), none on biases and LayerNorm.

A parameter whose gradient is None takes no part in a step: no update, no decay, its moments and its own step count
stay.
That is what `skipped: freeze` means for a block that no group kept, and it is AdamW's own behaviour (others:
skipped.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pld_search.specs.experiment import Optimizer
from pld_search.training.parallel.shared_tensors import whole


class EagerAdamW(torch.optim.AdamW):
    """torch's AdamW that never runs inside a compiled graph.

    torch marks these methods as not to be traced, and the first call of a marked one loads the whole compiler: a second
    or two of every start. Here they are as torch wrote them, without the mark.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    _unmarked_step = inspect.unwrap(torch.optim.AdamW.step)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient."""
        return self._unmarked_step(closure)


def adamw(parameters: Iterable[nn.Parameter], spec: Optimizer) -> torch.optim.AdamW:
    """Fused AdamW over two groups, in the order given: parameters of two or more dimensions decay, the others
    do not.
    """
    ordered = list(parameters)
    matrices = [parameter for parameter in ordered if parameter.ndim >= 2]
    vectors = [parameter for parameter in ordered if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return EagerAdamW(groups, lr=spec.lr, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, fused=True)


def refitted(
    old: torch.optim.AdamW, parameters: Iterable[nn.Parameter], copied: Mapping[nn.Parameter, nn.Parameter]
) -> torch.optim.AdamW:
    """`old` for other parameters, in the order given: those it has keep their moments and step counts.

    copied: a new parameter begins with those of the one it is a copy of; one that is not in it begins without any.
    """
    ordered = list(parameters)
    split = (
        [parameter for parameter in ordered if parameter.ndim >= 2],
        [parameter for parameter in ordered if parameter.ndim < 2],
    )
    groups = [{**group, "params": own} for group, own in zip(old.param_groups, split, strict=True)]
    new = EagerAdamW(groups, fused=True)
    for parameter in ordered:
        source = copied.get(parameter, parameter)
        if source in old.state:
            held = old.state[source]
            new.state[parameter] = (
                held if source is parameter else {name: value.clone() for name, value in held.items()}
            )
    return new


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of the step to come, for decayed and undecayed parameters alike."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def clip_gradients(parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
    """`clip_grad_norm_` over everything that ranks share: scales to the norm of the whole gradient, and returns it as
    it was (0-d).
    """
    ordered = list(parameters)
    norm = whole(nn.utils.get_total_norm([parameter.grad for parameter in ordered if parameter.grad is not None]))
    nn.utils.clip_grads_with_norm_(ordered, largest, norm)
    return norm


def guarded_step(optimizer: torch.optim.Optimizer, grad_norm: Tensor) -> None:
    """An optimizer step that changes nothing, moments included, when the gradients are not finite.

    Fused optimizers take a tensor `found_inf` (the protocol `torch.amp.GradScaler` uses), so the decision needs no
    synchronisation. fp32 and bf16 use it directly; in fp16 the scaler sets it.
    """
    optimizer.found_inf = (~torch.isfinite(grad_norm)).to(torch.float32).reshape(())  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.found_inf  # type: ignore[attr-defined]
