"""The memory of this machine and of the control groups that limit this process (cgroup 2 and cgroup 1).

The module answers three questions: how much memory exists and is free, how much this process holds, and how often the
system has killed a process for lack of memory. Linux answers them in small text files; elsewhere psutil answers the
first two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

_OWN_GROUPS, _GROUP_ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_MACHINE, _STATUS, _COUNTERS = Path("/proc/meminfo"), Path("/proc/self/status"), Path("/proc/vmstat")
_KILOBYTE = 1024
_LIMITS = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
_EVENTS = {1: "memory.oom_control", 2: "memory.events"}


class HostMemory(NamedTuple):
    """Total bytes, and bytes that are free now."""

    total: int
    free: int


class ControlGroup(NamedTuple):
    """The folder of a control group, and the version of its files."""

    folder: Path
    version: int


def host_memory(machine: Path = _MACHINE, own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT) -> HostMemory:
    """Returns the memory of this machine, or of the tightest control group of this process. File caches that the system
    can release count as free.
    """
    found = [_machine_memory(machine), *_group_memories(memory_groups(own, root))]
    return HostMemory(min(each.total for each in found), min(each.free for each in found))


def resident_bytes() -> int:
    """Returns the bytes of the machine's memory that this process holds now."""
    return _KILOBYTE * number_in(_STATUS, r"^VmRSS:\s+(\d+) kB$") or int(psutil.Process().memory_info().rss)


def peak_resident_bytes() -> int:
    """Returns the largest number of bytes of the machine's memory that this process has held so far.

    Linux counts this program only. `getrusage`, on other POSIX systems, may include the peak of the parent process.
    Without either, it returns the bytes held now.
    """
    if peak := number_in(_STATUS, r"^VmHWM:\s+(\d+) kB$"):
        return _KILOBYTE * peak
    try:
        import resource  # missing on platforms without POSIX
    except ImportError:
        return resident_bytes()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else _KILOBYTE * most


def oom_kills(own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT, machine: Path = _COUNTERS) -> int:
    """Returns the kills so far for lack of memory: of this process's control group and its parents, and of the machine.

    It returns 0 if no file tells. Only an increase during a run has a meaning: it is the only sign of a memory kill
    when a run ends by signal 9. The numbers come from `memory.events` (cgroup 2), `memory.oom_control` (cgroup 1) and
    `/proc/vmstat`, all in the line `oom_kill`.
    """
    groups = [folder / _EVENTS[version] for folder, version in memory_groups(own, root)]
    return sum(number_in(file, r"^oom_kill (\d+)$") for file in [*groups, machine])


def memory_groups(own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT) -> list[ControlGroup]:
    """Returns every group that limits the memory of this process, from its own upwards; empty without such groups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found: list[ControlGroup] = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        base, version = (root, 2) if controllers == "" else (root / "memory", 1)
        group = base / place.lstrip("/")
        found += [ControlGroup(folder, version) for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return found


def number_in(file: Path, pattern: str) -> int:
    """Returns the number that `pattern` captures in one of the system's files; 0 without such a file or line."""
    try:
        match = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def _machine_memory(file: Path) -> HostMemory:
    total = _KILOBYTE * number_in(file, r"^MemTotal:\s+(\d+) kB$")
    free = _KILOBYTE * number_in(file, r"^MemAvailable:\s+(\d+) kB$")
    if total and free:
        return HostMemory(total, free)
    seen = psutil.virtual_memory()
    return HostMemory(int(seen.total), int(seen.available))


def _group_memories(groups: list[ControlGroup]) -> Iterator[HostMemory]:
    """Yields the memory of groups with a limit; `max`, or a number near 2^63, is no limit."""
    for folder, version in groups:
        limit_file, usage_file, cache = _LIMITS[version]
        limit, used = number_in(folder / limit_file, r"^(\d+)$"), number_in(folder / usage_file, r"^(\d+)$")
        if 0 < limit < 1 << 60:
            yield HostMemory(limit, limit - used + number_in(folder / "memory.stat", rf"^{cache} (\d+)$"))
