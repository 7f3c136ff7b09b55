"""`python -m pld_search.cli.warm_worker SOCKET`: loads what a run needs, then forks itself into `train` for each run.

The coordinator starts it (search/launchers/warm_worker.py). It computes nothing and asks for no device: what a forked
process finds is what its own imports would have given it.
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

# what `train` loads once its words and files are right, and torch with it
_NEEDED = ("pld_search.cli.train", "pld_search.training.branch", "pld_search.training.train_run")


def become_runs(descriptor: int) -> None:
    """Serve the coordinator at the other end of a socket; in each forked process, run its command to its end."""
    names = Names(RUN, len(os.environ[RUN]))
    names.show(sys.orig_argv[:-1], {})
    for name in _NEEDED:
        import_module(name)
    request = serve(socket.socket(fileno=descriptor), names)
    if request is not None:
        sys.argv = ["pld-search", *request.command[3:]]  # behind `python -m pld_search`
        main()


if __name__ == "__main__":
    become_runs(int(sys.argv[1]))
