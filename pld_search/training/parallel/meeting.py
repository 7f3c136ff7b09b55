"""The place at which the ranks of a run find each other: a file on one machine, or an address of the first node.

Both are torch's key-value stores. They carry addresses and counters as bytes, and nothing in them is unpickled. A
TCPStore listens on all interfaces of its machine unless it gets a socket; here it gets a socket on the named address
only.
"""

from __future__ import annotations

import socket
from datetime import timedelta
from urllib.parse import urlsplit

# torch documents these three; its stubs do not export them
from torch.distributed import FileStore, Store, TCPStore  # type: ignore[attr-defined]

_PATIENCE = timedelta(minutes=10)
"""The time for which a rank waits for the others to arrive."""


def open_store(meeting: str, rank: int, world: int) -> Store:
    """Returns the store of `world` ranks at `file:///PATH` or `tcp://HOST:PORT`; rank 0 listens at a TCP address.

    The permissions of the file's folder decide who can write into it. Raises OSError if rank 0 cannot listen at
    HOST:PORT, and torch's DistError if the other ranks do not find it.
    """
    where = urlsplit(meeting)
    if where.scheme == "file":
        return FileStore(where.path, world)
    host, port = str(where.hostname), int(where.port or 0)
    if rank:
        return TCPStore(host, port, world, is_master=False, timeout=_PATIENCE)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family).detach()  # the store closes it
    return TCPStore(host, port, world, is_master=True, timeout=_PATIENCE, master_listen_fd=listening)
