"""Whether the process a record names still lives: a pid together with its start time, since pids are used again."""

from __future__ import annotations

import socket

import psutil

_SAME = 0.05  # seconds; start times come in clock ticks of 10 ms


def host() -> str:
    """The name of this machine, as records hold it."""
    return socket.gethostname()


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
