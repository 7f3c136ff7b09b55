"""A warm worker that loads nothing: a forked process runs the code in its command's fifth word."""

from __future__ import annotations

import os
import socket
import sys

from pld_search.host.fork_server import serve
from pld_search.host.process_names import Names
from pld_search.host.processes import RUN

if __name__ == "__main__":
    names = Names(RUN, len(os.environ[RUN]))
    request = serve(socket.socket(fileno=int(sys.argv[1])), names)
    if request is not None:
        exec(request.command[4])  # noqa: S102 - the test's own code
