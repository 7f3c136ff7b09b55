"""Who listens where: the sockets of a process and of everything it has started."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil


class Listener(NamedTuple):
    """A socket that takes what others send: of TCP one that listens, of UDP one that is bound and not connected."""

    process: str
    address: str
    port: int

    @property
    def on_loopback(self) -> bool:
        address = ipaddress.ip_address(self.address)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def listeners(pid: int) -> set[Listener]:
    """The listeners of a process and of all its descendants; none of what has ended meanwhile."""
    return {listener for process in _family(pid) for listener in _of(process)}


def _family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def _of(process: psutil.Process) -> Iterator[Listener]:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        name = " ".join(process.cmdline()[1:4])
        for found in process.net_connections(kind="inet"):
            if found.laddr and (
                found.status == psutil.CONN_LISTEN or (found.status == psutil.CONN_NONE and not found.raddr)
            ):
                yield Listener(name, found.laddr.ip, found.laddr.port)
