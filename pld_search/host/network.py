"""The network interfaces of this machine, by the addresses that they have."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from pld_search.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


def loopback() -> str:
    """Returns the name of the loopback interface, which reaches only this machine. Raises ConfigError if there is
    none.
    """
    name = interface_with(_LOOPBACK)
    if name is None:
        raise ConfigError(f"no interface of this machine has the address {_LOOPBACK}")
    return name


def interface_with(address: Address) -> str | None:
    """Returns the name of the interface with an address; None if there is none. All of 127.0.0.0/8 is the
    loopback's.
    """
    wanted = _LOOPBACK if address.version == 4 and address.is_loopback else address
    for name, held in psutil.net_if_addrs().items():
        if str(wanted) in {each.address.partition("%")[0] for each in held}:
            return name
    return None


def own_address_towards(address: Address, port: int) -> Address:
    """Returns the address of this machine from which packets to `address` leave; nothing is sent.

    Raises OSError if no interface leads there.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((str(address), port))
        return ipaddress.ip_address(asked.getsockname()[0])
