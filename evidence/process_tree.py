"""Stopping and continuing a process with everything below it, by the signals SIGSTOP and SIGCONT. Linux: it reads
/proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def tree(root: int) -> list[int]:
    """`root` and every process below it, parents first; empty where it has ended."""
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
    """Stop the tree, parents first, until it holds no process that was not told: a parent may have started one
    meanwhile.
    """
    told: set[int] = set()
    while new := [pid for pid in tree(root) if pid not in told]:
        for pid in new:
            _send(pid, signal.SIGSTOP)
            told.add(pid)


def go_on(root: int) -> None:
    """Continue the tree, children first: a parent that looks at them finds them running."""
    for pid in reversed(tree(root)):
        _send(pid, signal.SIGCONT)


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
