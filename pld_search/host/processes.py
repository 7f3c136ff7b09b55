"""Processes of this machine: known by their number together with their start time, signalled by group, and ended.

Process numbers are used again, so that a record of a process holds its start time as well.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import time
from collections.abc import Collection, Iterator

import psutil

RUN = "PLD_SEARCH_RUN"
"""The variable that every process of a run carries: its folder, with `#N` behind it on node N of several. A rank in a
session of its own is found by it.
"""

KILL = 9
"""The number of the signal that no process can catch. Python names it SIGKILL on POSIX only; Windows ends a process
with it, as with any number."""

_SAME = 0.05  # seconds; start times come in clock ticks of 10 ms
_POLL = 0.02  # seconds between two looks at processes that are ending


def host() -> str:
    """The name of this machine, as records hold it."""
    return socket.gethostname()


def user() -> str:
    """The name under which this process runs; empty where the system has none for it, as in some containers."""
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""


def start_time(pid: int) -> float | None:
    """Unix seconds at which the process started; None when there is none (a zombie counts as none)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def alive(pid: int, started: float) -> bool:
    """Whether the process of this machine that had this pid at that time still runs."""
    now = start_time(pid)
    return now is not None and abs(now - started) < _SAME


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads; nothing when it is gone.

    Where the platform has no process groups, the process alone gets the signal.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def stop_group(pid: int) -> None:
    """Ask the process group that `pid` leads to end; a group that was stopped by hand hears it too."""
    signal_group(pid, signal.SIGTERM)
    if hasattr(signal, "SIGCONT"):
        signal_group(pid, signal.SIGCONT)


def end_survivor(pid: int, started: float, patience: float = 10.0) -> bool:
    """Kill a process left by a dead coordinator, its group with it; whether there was one. Returns when it is gone."""
    if not alive(pid, started):
        return False
    with contextlib.suppress(ProcessLookupError):
        if not hasattr(os, "getpgid") or os.getpgid(pid) == pid:
            signal_group(pid, KILL)
        else:
            os.kill(pid, KILL)
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


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Every living process that carries PLD_SEARCH_RUN, with its value."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            folder = process.environ().get(RUN)
            if folder is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield process, folder


def _wait_for(processes: Collection[tuple[int, float]], patience: float) -> None:
    """Until all are gone, for at most `patience` seconds."""
    limit = time.monotonic() + patience
    while any(alive(*process) for process in processes) and time.monotonic() < limit:
        time.sleep(_POLL)
