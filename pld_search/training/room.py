"""How much memory a process may still take: of its GPU, or of the machine and the groups that limit it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from pld_search.host.memory import OWN, ROOT, Group, memory_groups, number_in
from pld_search.specs.execution import Execution

_MACHINE, _STATUS = Path("/proc/meminfo"), Path("/proc/self/status")
_KILOBYTE = 1024
_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}


class Room(NamedTuple):
    """Bytes there are, and bytes that are free now."""

    total: int
    free: int


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
    host = host_room()
    part = (stated or host.total // max(execution.sharing, ranks)) - resident_bytes()
    return max(0, min(part, host.free // ranks))


def host_room(machine: Path = _MACHINE, own: Path = OWN, root: Path = ROOT) -> Room:
    """Of this machine, or of the tightest control group this process is in. File caches that the system gives up count
    as free.
    """
    found = [_machine_room(machine), *_group_rooms(memory_groups(own, root))]
    return Room(min(room.total for room in found), min(room.free for room in found))


def resident_bytes() -> int:
    """What this process holds of the machine's memory; 0 where the system does not tell."""
    return _KILOBYTE * number_in(_STATUS, r"^VmRSS:\s+(\d+) kB$")


def _machine_room(file: Path) -> Room:
    total = _KILOBYTE * number_in(file, r"^MemTotal:\s+(\d+) kB$") or os.sysconf("SC_PAGE_SIZE") * os.sysconf(
        "SC_PHYS_PAGES"
    )
    return Room(total, _KILOBYTE * number_in(file, r"^MemAvailable:\s+(\d+) kB$") or total)


def _group_rooms(groups: list[Group]) -> Iterator[Room]:
    """Of the groups that have a limit; a limit of all memory there could be is none (`max`, or a number near 2^63)."""
    for folder, version in groups:
        limit_file, usage_file, cache = _FILES[version]
        limit, used = number_in(folder / limit_file, r"^(\d+)$"), number_in(folder / usage_file, r"^(\d+)$")
        if 0 < limit < 1 << 60:
            yield Room(limit, limit - used + number_in(folder / "memory.stat", rf"^{cache} (\d+)$"))
