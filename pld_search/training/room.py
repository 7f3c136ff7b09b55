"""How much memory a process may still take: of its GPU, or of the machine and the groups that limit it."""

from __future__ import annotations

import torch

from pld_search.host.memory import host_memory, peak_resident_bytes, resident_bytes
from pld_search.specs.execution import Execution


def room_of(execution: Execution, device: torch.device, ranks: int = 1) -> int:
    """Bytes that this process may still take.

    Its part of the device (`memory_gb` where the execution states it, else the whole divided by the processes that
    share it), and no more than is free now; of the machine's memory ranks start to take at the same time.
    """
    stated = None if execution.memory_gb is None else round(execution.memory_gb * 1e9)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        held, used = torch.cuda.memory_reserved(device), torch.cuda.memory_allocated(device)
        return min((stated or total // execution.sharing) - used, free + held - used)
    host = host_memory()
    part = (stated or host.total // max(execution.sharing, ranks)) - resident_bytes()
    return max(0, min(part, host.free // ranks))


def peak_bytes(device: torch.device) -> int:
    """The most memory held so far: of the device (what torch reserved) on CUDA, of this process elsewhere."""
    return int(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else peak_resident_bytes()
