"""Checks blocks when they are attached, so that blocks which cannot be skipped are refused then and not by a crash some
steps later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from pld_search.errors import AttachError
from pld_search.model.attach.outputs_beside import KEEP_FIRST, makes_for_others
from pld_search.schedules.schedule import Schedule

_NORMS = ("LayerNorm", "RMSNorm")
"""Suffixes of class names of norms over the width of the hidden states."""


def check_blocks(path: str, blocks: Sequence[nn.Module], schedule: Schedule, steps: int) -> None:
    """Raises AttachError for blocks of different widths, and for a schedule that drops a first block which the other
    blocks need.
    """
    differing = _other_width(blocks)
    if differing is not None:
        raise AttachError(
            f"the blocks of {path} change the width ({differing}): a block that changes the shape is no "
            "residual block, so it cannot be skipped; "
            "name the stack inside a stage with blocks='PATH'"
        )
    part = makes_for_others(list(blocks))
    least = schedule.keep_probabilities(np.arange(steps + 1), steps, len(blocks))[..., 0].min() if part else 1.0
    if part is not None and least < 1.0:
        raise AttachError(
            f"the first block of {path} holds {part}, which all blocks use, so it cannot be skipped: {KEEP_FIRST}"
        )


def _other_width(blocks: Sequence[nn.Module]) -> str | None:
    """Returns `norm1.weight is (96,) in block 1 and (192,) in block 2` if parameters with one name have different
    shapes and no norms show that the width of the hidden states stays the same; else None.
    """
    first = {name: tuple(parameter.shape) for name, parameter in blocks[0].named_parameters()}
    for number, block in enumerate(blocks[1:], start=2):
        for name, parameter in block.named_parameters():
            if first.get(name, tuple(parameter.shape)) != tuple(parameter.shape) and not _equal_norms(blocks[0], block):
                return f"{name} is {first[name]} in block 1 and {tuple(parameter.shape)} in block {number}"
    return None


def _equal_norms(one: nn.Module, other: nn.Module) -> bool:
    """Whether both have norms over the hidden states with equal sizes; blocks with uneven heads keep their width."""
    return bool(_norms(one)) and _norms(one) == _norms(other)


def _norms(block: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.{key}": tuple(parameter.shape)
        for name, module in block.named_modules()
        if type(module).__name__.endswith(_NORMS)
        for key, parameter in module.named_parameters(recurse=False)
    }
