"""Processes of this machine: identified by pid and start time, signalled by group, and ended.

Pids are reused, so a record of a process also holds its start time.
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
"""The environment variable of every process of a run: its folder, followed by `#N` on node N of several. It identifies
a rank in a separate session.
"""

KILL = 9
"""The number of the signal that no process can catch. Python names it SIGKILL on POSIX only. Windows ends a process
with it, as with any number."""

_SAME = 0.05  # seconds; start times have a resolution of 10 ms
_POLL = 0.02  # seconds between two checks of ending processes


def host() -> str:
    """Returns the name of this machine as records hold it."""
    return socket.gethostname()


def user() -> str:
    """Returns the user name of this process; empty if the system has none for it, as in some containers."""
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""


def start_time(pid: int) -> float | None:
    """Returns the Unix time at which the process started; None if there is no process (a zombie counts as none)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def alive(pid: int, started: float) -> bool:
    """Whether the process of this machine with this pid and start time still runs."""
    now = start_time(pid)
    return now is not None and abs(now - started) < _SAME


def signal_group(pid: int, number: int) -> None:
    """Sends a signal to the process group that `pid` leads; does nothing if the group has ended.

    On a platform without process groups, only the process gets the signal.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def stop_group(pid: int) -> None:
    """Asks the process group that `pid` leads to end, also if it was stopped by hand."""
    signal_group(pid, signal.SIGTERM)
    if hasattr(signal, "SIGCONT"):
        signal_group(pid, signal.SIGCONT)


def end_survivor(pid: int, started: float, patience: float = 10.0) -> bool:
    """Kills a process left by a dead coordinator with its group and waits for its end. Returns whether there was
    one.
    """
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
    """Kills every process of this user with one of these folders in PLD_SEARCH_RUN and waits for their end. Returns
    their number.
    """
    found = [process for process, folder in marked() if folder in folders]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _wait_for([(process.pid, process.create_time()) for process in found], patience)
    return len(found)


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Yields every living process with PLD_SEARCH_RUN in its environment, and the value."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            folder = process.environ().get(RUN)
            if folder is not None and process.status() != psutil.STATUS_ZOMBIE:
                yield process, folder


def _wait_for(processes: Collection[tuple[int, float]], patience: float) -> None:
    """Waits until all processes have ended, for at most `patience` seconds."""
    limit = time.monotonic() + patience
    while any(alive(*process) for process in processes) and time.monotonic() < limit:
        time.sleep(_POLL)
