"""How often the system has killed processes for lack of memory: the only witness when a run just disappears by signal
9.
"""

from __future__ import annotations

from pathlib import Path

from pld_search.host.memory import OWN, ROOT, memory_groups, number_in

_MACHINE = Path("/proc/vmstat")
_EVENTS = {1: "memory.oom_control", 2: "memory.events"}


def oom_kills(own: Path = OWN, root: Path = ROOT, machine: Path = _MACHINE) -> int:
    """Kills so far: of this process's control group and those above it, and of the machine. 0 where nothing tells.

    The number means nothing by itself; that it grew while a run went on does. Read from `memory.events` (cgroup 2),
    `memory.oom_control` (cgroup 1) and `/proc/vmstat`, all of which count in `oom_kill`.
    """
    groups = [folder / _EVENTS[version] for folder, version in memory_groups(own, root)]
    return sum(number_in(file, r"^oom_kill (\d+)$") for file in [*groups, machine])
