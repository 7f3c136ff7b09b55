"""An attached model written out by hand: skipped blocks replaced by the identity, kept ones by their scaled
residual.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from pld_search.schedules.gates import Gates


class Identity(nn.Module):
    """What a skipped block is; a tuple where the block returns one."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.tuple = "DebertaV2" in type(block).__name__
        self.attention_type = getattr(block, "attention_type", None)

    def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        return (hidden_states, None) if self.tuple else hidden_states


class Scaled(nn.Module):
    """x + scale (block(x) - x)."""

    def __init__(self, block: nn.Module, scale: float) -> None:
        super().__init__()
        self.block, self.scale, self.attention_type = block, scale, getattr(block, "attention_type", None)

    def forward(self, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        output = self.block(hidden_states, *args, **kwargs)
        if isinstance(output, tuple):
            return hidden_states + (output[0] - hidden_states) * self.scale, *output[1:]
        return hidden_states + (output - hidden_states) * self.scale


def by_hand(model: nn.Module, path: str, gates: Gates) -> tuple[nn.Module, list[nn.Module]]:
    """A copy of the model under the gates, and its blocks (of the copy, in order)."""
    own = copy.deepcopy(model)
    stack = own.get_submodule(path)
    assert isinstance(stack, nn.ModuleList)
    blocks = list(stack)
    for index, (keep, scale) in enumerate(zip(gates.keep, gates.scale, strict=True)):
        if not keep:
            stack[index] = Identity(blocks[index])
        elif scale != 1.0:
            stack[index] = Scaled(blocks[index], scale)
    return own, blocks
