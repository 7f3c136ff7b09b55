"""`python -m pld_search.cli.warm_worker SOCKET`: loads what a run needs, then forks itself into `train` for each run.

The coordinator starts this process (search/launchers/worker_client.py). It computes nothing and opens no device, so a
forked process has the same state as after its own imports.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module

from pld_search.cli.main import main
from pld_search.host.fork_server import serve
from pld_search.host.process_names import Names
from pld_search.host.processes import RUN

# modules that `train` loads after it has checked its arguments and files; they load torch
_NEEDED = ("pld_search.cli.train", "pld_search.training.branch", "pld_search.training.train_run")


def become_runs(descriptor: int) -> None:
    """Serves the coordinator at the other end of a socket; each forked process runs its command to the end."""
    names = Names(RUN, len(os.environ[RUN]))
    names.show(sys.orig_argv[:-1], {})
    for name in _NEEDED:
        import_module(name)
    request = serve(socket.socket(fileno=descriptor), names)
    if request is not None:
        sys.argv = ["pld-search", *request.command[3:]]  # after `python -m pld_search`
        main()


if __name__ == "__main__":
    become_runs(int(sys.argv[1]))
