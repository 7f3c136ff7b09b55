"""Processes stopped (SIGSTOP) at a chosen moment, so that a kill falls into it for certain; SIGKILL reaches them as
they stand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from pld_search.training.checkpoint import PARTIAL


def freeze(processes: Sequence[psutil.Process], moment: Callable[[], bool], going: Callable[[], bool]) -> bool:
    """Stop them all at `moment`; False where they were no longer `going` before it came. One that has passed while they
    were stopped is not taken.
    """
    while going():
        if moment():
            try:
                for each in processes:
                    each.suspend()
                if moment():
                    return True
                thaw(processes)
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.001)
    return False


def thaw(processes: Sequence[psutil.Process]) -> None:
    """Those that still live go on."""
    for each in processes:
        if each.is_running():
            each.resume()


def writing(root: Path, part: str = "") -> bool:
    """Whether a checkpoint is half written in `root`; `part`: of ranks, "ranks-" while each writes its moments, "0"
    once there is the model's folder.
    """
    return any(root.glob(f"{PARTIAL}{part}*"))
