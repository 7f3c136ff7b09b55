"""How often the system has killed processes for lack of memory: the only witness when a run just disappears by signal 9."""

from __future__ import annotations

import re
from pathlib import Path

_OWN, _ROOT, _MACHINE = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"), Path("/proc/vmstat")


def oom_kills(own: Path = _OWN, root: Path = _ROOT, machine: Path = _MACHINE) -> int:
    """Kills so far: of this process's control group and those above it, and of the machine. 0 where nothing tells.

    The number means nothing by itself; that it grew while a run went on does. Read from `memory.events` (cgroup 2),
    `memory.oom_control` (cgroup 1) and `/proc/vmstat`, all of which count in `oom_kill`.
    """
    return sum(_count(file) for file in [*_files(own, root), machine])


def _files(own: Path, root: Path) -> list[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        base, name = (root, "memory.events") if controllers == "" else (root / "memory", "memory.oom_control")
        group = base / place.lstrip("/")
        found += [folder / name for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return found


def _count(file: Path) -> int:
    try:
        match = re.search(r"^oom_kill (\d+)$", file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
