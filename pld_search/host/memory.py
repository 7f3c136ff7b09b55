"""The control groups that limit this process's memory, its own and those above it (cgroup 2 and cgroup 1), and the
numbers in such files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

OWN, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class Group(NamedTuple):
    """The folder of a group, and the version of its files."""

    folder: Path
    version: int


def memory_groups(own: Path = OWN, root: Path = ROOT) -> list[Group]:
    """Every group whose memory counts, from the process's own upwards; none where the system has no such groups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found: list[Group] = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        base, version = (root, 2) if controllers == "" else (root / "memory", 1)
        group = base / place.lstrip("/")
        found += [Group(folder, version) for folder in (group, *group.parents) if folder.is_relative_to(base)]
    return found


def number_in(file: Path, pattern: str) -> int:
    """The number that `pattern` captures in one of the system's files; 0 where there is no such file or line."""
    try:
        match = re.search(pattern, file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
