"""The network interfaces of this machine, by the addresses that they have."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from pld_search.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LOOPBACK = ipaddress.ip_address("127.0.0.1")


def loopback() -> str:
    """The name of the interface that reaches this machine only. Raises ConfigError where there is none."""
    name = interface_with(_LOOPBACK)
    if name is None:
        raise ConfigError(f"no interface of this machine has the address {_LOOPBACK}")
    return name


def interface_with(address: Address) -> str | None:
    """The name of the interface that has an address, None where none has; any of 127.0.0.0/8 is the loopback's."""
    wanted = _LOOPBACK if address.version == 4 and address.is_loopback else address
    for name, held in psutil.net_if_addrs().items():
        if str(wanted) in {each.address.partition("%")[0] for each in held}:
            return name
    return None


def own_address_towards(address: Address, port: int) -> Address:
    """The address of this machine that packets to `address` leave from; nothing is sent.

    Raises OSError where no interface leads there.
    """
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((str(address), port))
        return ipaddress.ip_address(asked.getsockname()[0])
