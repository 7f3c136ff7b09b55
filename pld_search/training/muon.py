"""Muon for the matrices of layers and AdamW for all other parameters, as one optimizer with one state.

Uses torch's own classes (`torch.optim.Muon`: Jordan et al., "Muon", 2024): momentum, its orthogonalisation by
Newton-Schulz in bf16, and a step of the same size for every matrix, independent of the size of its gradient. Query, key
and value are one matrix here, and so are a feed-forward and its gate: each is orthogonalised as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import torch
from torch import nn

from pld_search.specs.experiment import MOMENTUM, Optimizer
from pld_search.training.eager_adamw import EagerAdamW

_SHARE = "share"
"""The key of a parameter group for its learning rate as a share of the run's learning rate."""


class MuonAndAdamW(torch.optim.Optimizer):
    """The first parameter group belongs to Muon, the others belong to AdamW; the groups have the keys of both.

    A parameter whose gradient is None is not updated, and its momentum does not change.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        matrices, *others = groups
        held = [torch.optim.Muon([matrices]), EagerAdamW(others, fused=True)]
        super().__init__([group for each in held for group in each.param_groups], {})
        self._muon, self._adamw = held

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Steps both optimizers. Changes nothing if `found_inf` (optimizer.guarded_step) says that gradients are not
        finite; Muon cannot decide this on the device, so the call waits for a GPU.
        """
        loss = None if closure is None else closure()
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and found_inf.item():
            return loss
        parts = (self._muon, self.param_groups[:1]), (self._adamw, self.param_groups[1:])
        for optimizer, groups in parts:  # groups and state belong to this class, which a checkpoint restores
            optimizer.param_groups, optimizer.state = groups, self.state
            optimizer.step()
        return loss


def muon(matrices: Collection[nn.Parameter], others: Iterable[dict[str, Any]], spec: Optimizer) -> MuonAndAdamW:
    """Returns Muon over `matrices` at the run's learning rate, and AdamW over the other groups at its own rate."""
    assert spec.adamw is not None
    momentum = MOMENTUM if spec.momentum is None else spec.momentum
    own = {"params": list(matrices), "lr": spec.lr, "momentum": momentum, "weight_decay": spec.weight_decay}
    share = spec.adamw.lr / spec.lr
    adamw = {"betas": (spec.beta1, spec.beta2), "eps": spec.epsilon, "lr": spec.adamw.lr, _SHARE: share}
    return MuonAndAdamW([own, *({**adamw, **group} for group in others)])


def rate_of(group: dict[str, Any], lr: float) -> float:
    """Returns the learning rate of a parameter group if the run's learning rate is `lr`."""
    share: float | None = group.get(_SHARE)
    return lr if share is None else lr * share
