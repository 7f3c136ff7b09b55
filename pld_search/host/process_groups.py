"""Ending processes: whole groups, and what a dead coordinator or a dead rank 0 left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterator

import psutil

from pld_search.host.processes import alive

RUN = "PLD_SEARCH_RUN"
"""The variable that every process of a run carries: its folder. A rank in a session of its own is found by it."""


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads; nothing when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_survivor(pid: int, started: float, patience: float = 10.0) -> bool:
    """Kill a process left by a dead coordinator, its group with it; whether there was one. Returns when it is gone."""
    if not alive(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            signal_group(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    _wait_for([(pid, started)], patience)
    return True


def end_marked(folders: Collection[str], patience: float = 10.0) -> int:
    """Kill every process of this user that carries one of these folders in PLD_SEARCH_RUN; how many. Returns when they
    are gone.
    """
    found = [process for process, folder in marked() if folder in folders]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait_for([(process.pid, process.create_time()) for process in found], patience)
    return len(found)


def _wait_for(processes: Collection[tuple[int, float]], patience: float) -> None:
    """Until all are gone, for at most `patience` seconds."""
    limit = time.monotonic() + patience
    while any(alive(*process) for process in processes) and time.monotonic() < limit:
        time.sleep(0.02)


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every living process that carries PLD_SEARCH_RUN, with its value."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            folder = process.environ().get(RUN)
            if folder is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield process, folder
