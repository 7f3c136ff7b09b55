"""Checks that all ranks hold the same plan: under FSDP2, ranks with different skipped blocks mix up parameters
silently.
"""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from pld_search.errors import AttachError
from pld_search.schedules.plan import Plan


def agree(plan: Plan, step: int) -> None:
    """Compares plan and step over all ranks of the default group; every rank must call it. Raises AttachError on every
    rank if they differ.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return
    mine = {
        "seed": plan.seed,
        "step": step,
        "steps": plan.total,
        "layers": plan.stack.final,
        "groups": plan.groups,
        "plan": plan.digest(),
    }
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, mine)
    for rank, theirs in enumerate(found):
        differing = [key for key in mine if theirs[key] != found[0][key]]
        if differing:
            told = ", ".join(f"{key} {found[0][key]} on rank 0 and {theirs[key]} on rank {rank}" for key in differing)
            raise AttachError(
                f"the ranks would skip different blocks: {told}; attach with the same schedule, steps and "
                "seed on every rank, and resume all ranks at one step"
            )
