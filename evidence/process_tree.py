"""Stops and continues a process with all its descendants, by the signals SIGSTOP and SIGCONT. Needs Linux: it reads
/proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def tree(root: int) -> list[int]:
    """Returns `root` and every process below it, parents first; empty when it has ended."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(_parent(entry), []).append(int(entry.name))
    found = [root] if Path(f"/proc/{root}").exists() else []
    for pid in found:
        found += sorted(children.get(pid, ()))
    return found


def stop(root: int) -> None:
    """Stops the tree, parents first, until every process in it got the signal: a parent may have started one
    meanwhile.
    """
    told: set[int] = set()
    while new := [pid for pid in tree(root) if pid not in told]:
        for pid in new:
            _send(pid, signal.SIGSTOP)
            told.add(pid)


def go_on(root: int) -> None:
    """Continues the tree, children first: a parent that checks its children then finds them running."""
    for pid in reversed(tree(root)):
        _send(pid, signal.SIGCONT)


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
