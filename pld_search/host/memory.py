"""The memory of this machine and of the control groups that limit this process (cgroup 2 and cgroup 1).

Three questions: how much there is and how much is free, how much this process holds, and how often the system has
killed a process for lack of memory. Linux answers them in small text files; elsewhere psutil answers the first two.
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
    """Bytes there are, and bytes that are free now."""

    total: int
    free: int


class ControlGroup(NamedTuple):
    """The folder of a control group, and the version of its files."""

    folder: Path
    version: int


def host_memory(machine: Path = _MACHINE, own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT) -> HostMemory:
    """Of this machine, or of the tightest control group this process is in. File caches that the system gives up count
    as free.
    """
    found = [_machine_memory(machine), *_group_memories(memory_groups(own, root))]
    return HostMemory(min(each.total for each in found), min(each.free for each in found))


def resident_bytes() -> int:
    """Bytes of the machine's memory that this process holds now."""
    return _KILOBYTE * number_in(_STATUS, r"^VmRSS:\s+(\d+) kB$") or int(psutil.Process().memory_info().rss)


def peak_resident_bytes() -> int:
    """The most bytes of the machine's memory that this process has held so far.

    Linux tells it of this program alone. `getrusage`, which other POSIX systems have, may carry over the peak of the
    parent process. Where neither is there: the bytes held now.
    """
    if peak := number_in(_STATUS, r"^VmHWM:\s+(\d+) kB$"):
        return _KILOBYTE * peak
    try:
        import resource  # missing where the platform is not POSIX
    except ImportError:
        return resident_bytes()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else _KILOBYTE * most


def oom_kills(own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT, machine: Path = _COUNTERS) -> int:
    """Kills so far for lack of memory: of this process's control group and those above it, and of the machine.

    0 where nothing tells. The number means nothing by itself; that it grew while a run went on is the only witness when
    a run just disappears by signal 9. Read from `memory.events` (cgroup 2), `memory.oom_control` (cgroup 1) and
    `/proc/vmstat`, all of which count in `oom_kill`.
    """
    groups = [folder / _EVENTS[version] for folder, version in memory_groups(own, root)]
    return sum(number_in(file, r"^oom_kill (\d+)$") for file in [*groups, machine])


def memory_groups(own: Path = _OWN_GROUPS, root: Path = _GROUP_ROOT) -> list[ControlGroup]:
    """Every group whose memory counts, from the process's own upwards; none where the system has no such groups."""
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
    """The number that `pattern` captures in one of the system's files; 0 where there is no such file or line."""
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
    """Of the groups that have a limit; a limit of all memory there could be is none (`max`, or a number near 2^63)."""
    for folder, version in groups:
        limit_file, usage_file, cache = _LIMITS[version]
        limit, used = number_in(folder / limit_file, r"^(\d+)$"), number_in(folder / usage_file, r"^(\d+)$")
        if 0 < limit < 1 << 60:
            yield HostMemory(limit, limit - used + number_in(folder / "memory.stat", rf"^{cache} (\d+)$"))
