"""Starts the command of a run and ties it to the coordinator's life: `python -I -S child.py PARENT COMMAND...`.

A coordinator killed by `kill -9` cannot stop its runs, and an orphan would train on in parallel to its own
continuation. On Linux PR_SET_PDEATHSIG kills this process when the thread that launched it ends. It is set here, in a
separate process that then executes the command, and not in a function between fork and exec: the coordinator has
threads, and Python code after a fork of a threaded process may deadlock. This file imports nothing of the project, so
that it starts in milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def tied(command: list[str]) -> list[str]:
    """Returns the command that runs `command` as a child which ends with this process; the bare command on Windows."""
    if os.name == "nt":
        return command
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def die_with(parent: int) -> None:
    """Asks the kernel for SIGKILL at the parent's death, and ends at once if the parent has already died."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
