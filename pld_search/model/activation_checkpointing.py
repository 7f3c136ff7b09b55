"""Activation checkpointing (Chen et al., 2016, "Training Deep Nets with Sublinear Memory Cost"): saves memory, costs
time.

A recomputed block keeps only its input. Its backward pass runs the block once more from the same generator states, so
that dropout is the same and gradients have the same bits. A block that is not called keeps and recomputes nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pld_search.specs.execution import ActivationCheckpointing


def every(setting: ActivationCheckpointing) -> int:
    """Returns the period of recomputed blocks: 1 means every block, 0 means none."""
    return {"none": 0, "blocks": 1}[setting] if isinstance(setting, str) else setting


def run(block: nn.Module, again: bool, x_BLH: Tensor, *more: Any) -> Tensor:
    """Returns `block(x_BLH, *more)`. With `again` its activations are dropped and recomputed in the backward pass.

    The block is called as a module both times, so that a compiled block, or a block shared by ranks (FSDP2 expects
    checkpoints around its units), stays so.
    """
    if not (again and torch.is_grad_enabled()):
        plain: Tensor = block(x_BLH, *more)
        return plain
    recomputed: Tensor = checkpoint(block, x_BLH, *more, use_reentrant=False, preserve_rng_state=True)
    return recomputed
