"""The memory that a process may still take: of its GPU, or of the machine and the control groups that limit it."""

from __future__ import annotations

import torch

from pld_search.host.host_memory import host_memory, peak_resident_bytes, resident_bytes
from pld_search.specs.execution import Execution


def room_of(execution: Execution, device: torch.device, ranks: int = 1) -> int:
    """Returns the bytes that this process may still take.

    This is its part of the device (`memory_gb` if the execution states it, else the whole divided by the processes that
    share it), and at most the free memory. Ranks on a CPU divide the free memory, since they all start to take it at
    the same time.
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
    """Returns the most memory held so far: of the device (reserved by torch) on CUDA, of this process elsewhere."""
    return int(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else peak_resident_bytes()
