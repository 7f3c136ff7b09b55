"""Muon for the matrices of layers, AdamW for everything else, as one optimizer with one state.

torch's own classes do the work (`torch.optim.Muon`: Jordan et al., "Muon", 2024): momentum, its orthogonalisation by
Newton-Schulz in bf16, and a step of the same size for every matrix, whatever its gradient was. Query, key and value are
one matrix here, and so are a feed-forward and its gate: each is orthogonalised as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import nn

from pld_search.specs.experiment import MOMENTUM, Optimizer
from pld_search.training.eager_adamw import EagerAdamW

_SHARE = "share"
"""In a group of parameters: its learning rate as a share of the one that is stated for the run."""


class MuonAndAdamW(torch.optim.Optimizer):
    """The first group of parameters is Muon's, the others are AdamW's; they have the keys of both.

    A parameter whose gradient is None takes no part in a step: its momentum stays, too.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        matrices, *others = groups
        held = [torch.optim.Muon([matrices]), EagerAdamW(others, fused=True)]
        super().__init__([group for each in held for group in each.param_groups], {})
        self._muon, self._adamw = held

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both. Nothing changes where `found_inf` (optimizer.guarded_step) says that gradients are not
        finite; Muon has no way to decide that on the device, so a GPU is waited for.
        """
        loss = None if closure is None else closure()
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and found_inf.item():
            return loss
        parts = (self._muon, self.param_groups[:1]), (self._adamw, self.param_groups[1:])
        for optimizer, groups in parts:  # they own neither: what a checkpoint gives is given to this class
            optimizer.param_groups, optimizer.state = groups, self.state
            optimizer.step()
        return loss


def muon(matrices: Collection[nn.Parameter], others: Iterable[dict[str, Any]], spec: Optimizer) -> MuonAndAdamW:
    """Muon over `matrices` at the rate of the run, AdamW over the other groups at a rate of its own."""
    assert spec.adamw is not None
    momentum = MOMENTUM if spec.momentum is None else spec.momentum
    own = {"params": list(matrices), "lr": spec.lr, "momentum": momentum, "weight_decay": spec.weight_decay}
    share = spec.adamw.lr / spec.lr
    adamw = {"betas": (spec.beta1, spec.beta2), "eps": spec.epsilon, "lr": spec.adamw.lr, _SHARE: share}
    return MuonAndAdamW([own, *({**adamw, **group} for group in others)])


def rate_of(group: dict[str, Any], lr: float) -> float:
    """The learning rate of a group of parameters where that of the run is `lr`."""
    share: float | None = group.get(_SHARE)
    return lr if share is None else lr * share
