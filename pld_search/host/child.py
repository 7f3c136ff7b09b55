"""Becomes the command of a run, after tying its life to the coordinator's: `python -I -S child.py PARENT COMMAND...`.

A coordinator killed by `kill -9` cannot stop its runs, and an orphan would train on beside its own continuation. On
Linux PR_SET_PDEATHSIG kills this process when the thread that launched it ends. It is set here, in a process of its own
that then becomes the command, and not in a function between fork and exec: the coordinator has threads, and Python code
after a fork of a threaded process may deadlock. The file imports nothing of the project, so that it starts in
milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tied(command: list[str]) -> list[str]:
    """The command as a child of this process that ends with it; the bare command where no process becomes another."""
    if os.name == "nt":
        return command
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL at the parent's death, and end at once when that death came first."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
