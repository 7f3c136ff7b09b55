"""The limits of a platform that lacks a part of POSIX. The package can be imported there, and `doctor` lists them."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec

FORKS = sys.platform == "linux"
"""Whether a process that has loaded torch can fork and continue: other systems cannot, or their libraries forbid it."""


def unsupported() -> list[str]:
    """Returns one line for each missing feature of this platform and its consequence; empty on Linux."""
    found = []
    if find_spec("fcntl") is None:
        if os.name != "nt":  # Windows has locks of its own
            found.append("no fcntl: a lock stays when its holder is killed; delete the .lock file before you go on")
        found.append("no fcntl: `bench` cannot keep work in the background quiet")
    if sys.platform != "linux":
        found.append("no death signal: runs go on when the command that started them is killed by force")
        found.append("no warm worker: each run of a study loads everything itself")
    if not hasattr(os, "killpg") or not hasattr(os, "getpgid"):
        found.append("no process groups: what a run has started itself may go on after the run was ended")
    if not hasattr(signal, "SIGKILL"):
        found.append("no SIGKILL: a process is ended at once, without a checkpoint, where it is asked to stop")
    return found
