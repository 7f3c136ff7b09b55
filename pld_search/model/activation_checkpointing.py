"""Checkpointing of activations (Chen et al., 2016, "Training Deep Nets with Sublinear Memory Cost"): memory for time.

A block that is recomputed keeps its input alone; its backward pass runs the block once more, from the same state of the
generators, so that dropout falls alike and gradients are the same bits. A block that is not called keeps and recomputes
nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pld_search.specs.execution import ActivationCheckpointing


def every(setting: ActivationCheckpointing) -> int:
    """Every how manieth block is recomputed: 1 is each, 0 none."""
    return {"none": 0, "blocks": 1}[setting] if isinstance(setting, str) else setting


def run(block: nn.Module, again: bool, x_BLH: Tensor, *more: Any) -> Tensor:
    """`block(x_BLH, *more)`; with `again` its activations are dropped, and computed once more in the backward pass.

    The block is called as a module both times: one that is compiled or shared by ranks (FSDP2 expects checkpoints
    around its units) stays so.
    """
    if not (again and torch.is_grad_enabled()):
        plain: Tensor = block(x_BLH, *more)
        return plain
    recomputed: Tensor = checkpoint(block, x_BLH, *more, use_reentrant=False, preserve_rng_state=True)
    return recomputed
