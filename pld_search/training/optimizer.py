"""AdamW as in BERT, or Muon with AdamW (muon.py): weight decay on matrices (embeddings included), none on biases and
norms.

A parameter whose gradient is None is not updated: no step, no decay, and its moments and step count stay.
`skipped: freeze` has this meaning for a block that no group kept, and both optimizers behave so by themselves (other
treatments: dropped_weights.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from pld_search.model.layered_model import LayeredModel
from pld_search.specs.experiment import Optimizer
from pld_search.training.eager_adamw import EagerAdamW
from pld_search.training.muon import MuonAndAdamW, muon, rate_of
from pld_search.training.parallel.shared_tensors import whole


def adamw(parameters: Iterable[nn.Parameter], spec: Optimizer) -> torch.optim.AdamW:
    """Returns fused AdamW over two groups, in the given order: parameters of two or more dimensions decay, the others
    do not.
    """
    ordered = list(parameters)
    matrices = [parameter for parameter in ordered if parameter.ndim >= 2]
    vectors = [parameter for parameter in ordered if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return EagerAdamW(groups, lr=spec.lr, betas=(spec.beta1, spec.beta2), eps=spec.epsilon, fused=True)


def optimizer_of(model: LayeredModel, spec: Optimizer) -> torch.optim.Optimizer:
    """Returns the optimizer of the spec, over the parameters of `model` that training changes."""
    parameters = trainable(model)
    if spec.kind is None:
        return adamw(parameters, spec)
    layers, matrices, vectors = _matrices_and_vectors(model, True)
    return muon(
        layers,
        [{"params": matrices, "weight_decay": spec.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        spec,
    )


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters that training changes, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _matrices_and_vectors(model: LayeredModel, apart: bool) -> tuple[list[nn.Parameter], ...]:
    """Returns a model's matrices and its vectors in order; with `apart` the matrices of the layers come first."""
    ordered = trainable(model)
    layers = set(model.blocks.parameters()) if apart else set()
    parts = (
        [parameter for parameter in ordered if parameter.ndim >= 2 and parameter in layers],
        [parameter for parameter in ordered if parameter.ndim >= 2 and parameter not in layers],
        [parameter for parameter in ordered if parameter.ndim < 2],
    )
    return parts if apart else parts[1:]


def refitted(
    old: torch.optim.Optimizer, model: LayeredModel, copied: Mapping[nn.Parameter, nn.Parameter]
) -> torch.optim.Optimizer:
    """Returns `old` for the parameters of another model, or of a model with other layers. Parameters that `old` has
    keep their moments and step counts.

    copied: maps a new parameter to the parameter whose moments and step count it starts with; a new parameter without
    an entry starts without any.
    """
    two = isinstance(old, MuonAndAdamW)
    groups = [
        {**group, "params": own} for group, own in zip(old.param_groups, _matrices_and_vectors(model, two), strict=True)
    ]
    new = MuonAndAdamW(groups) if two else EagerAdamW(groups, fused=True)
    for parameter in trainable(model):
        source = copied.get(parameter, parameter)
        if source in old.state:
            held = old.state[source]
            new.state[parameter] = (
                held if source is parameter else {name: value.clone() for name, value in held.items()}
            )
    return new


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of the next step, for parameters with and without decay; beside Muon, AdamW's rate changes
    in proportion.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate_of(group, lr)


def clip_gradients(parameters: Iterable[nn.Parameter], largest: float) -> Tensor:
    """Clips like `clip_grad_norm_` over all ranks: scales by the norm of the whole gradient. Returns the norm before
    clipping (0-d).
    """
    ordered = list(parameters)
    norm = whole(nn.utils.get_total_norm([parameter.grad for parameter in ordered if parameter.grad is not None]))
    nn.utils.clip_grads_with_norm_(ordered, largest, norm)
    return norm


def guarded_step(optimizer: torch.optim.Optimizer, grad_norm: Tensor) -> None:
    """Steps the optimizer; changes nothing, moments included, if the gradients are not finite.

    Fused optimizers accept a tensor `found_inf` (the protocol of `torch.amp.GradScaler`), so the decision needs no
    synchronisation. fp32 and bf16 use it directly; in fp16 the scaler sets it.
    """
    optimizer.found_inf = (~torch.isfinite(grad_norm)).to(torch.float32).reshape(())  # type: ignore[attr-defined]
    try:
        optimizer.step()
    finally:
        del optimizer.found_inf  # type: ignore[attr-defined]
