"""The meeting point of the ranks of `train --ranks`, and the network interface they use.

On one node the ranks meet at a file that only this user can open and use the loopback interface. Nothing of the run can
be reached from outside. On several nodes they meet at the address of the first node, which PET_MASTER_ADDR names, and
use on each node the interface that leads there (torchrun reads the same variables). Any machine that reaches these
ports can run code in the run (docs/runs.md), so a public address is refused unless the interface is named as well.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pld_search.errors import ConfigError, Problem
from pld_search.host.network import Address, interface_with, loopback, own_address_towards

INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
NODES, NODE, ADDRESS, PORT = "PET_NNODES", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"
_USUAL_PORT = "29500"  # torchrun's


@dataclass(frozen=True, slots=True)
class RankMeeting:
    """`url` for training/parallel/meeting.py; this machine's interface; its first rank; the number of all ranks."""

    url: str
    interface: str
    first: int
    world: int

    @property
    def interfaces(self) -> dict[str, str]:
        """The variables that tell gloo and NCCL the interface (`=`: exactly this name, not a prefix)."""
        return dict(zip(INTERFACES, (self.interface, f"={self.interface}"), strict=True))


def meeting_of(ranks: int, folder: Path, variables: Mapping[str, str]) -> RankMeeting:
    """Returns the meeting point of `ranks` ranks on each node; `folder` is private to this user.

    Raises ConfigError when several nodes are asked for without an address at which they can meet.
    """
    nodes = _number(variables, NODES, 1, 2**16) if NODES in variables else 1
    if nodes == 1:
        return RankMeeting((folder / "meeting").absolute().as_uri(), loopback(), 0, ranks)
    node = _number(variables, NODE, 0, nodes - 1)
    port = _number({PORT: _USUAL_PORT, **variables}, PORT, 1, 2**16 - 1)
    address = _named_address(variables, port)
    own = _own_address_towards(address, port)
    if node == 0 and own != address:
        raise _no_address(f"this is the first node ({NODE}=0), and its address is {own}", variables[ADDRESS])
    host = f"[{address}]" if address.version == 6 else str(address)
    return RankMeeting(f"tcp://{host}:{port}", _interface_with(own), node * ranks, nodes * ranks)


def _number(variables: Mapping[str, str], name: str, least: int, most: int) -> int:
    given = variables.get(name)
    if given is None or not given.isdecimal() or not least <= int(given) <= most:
        rule = f"a run over several nodes ({NODES}) needs a number here"
        raise ConfigError(Problem(rule, (name,), allowed=f"{least} .. {most}", given=given or "nothing"))
    return int(given)


def _named_address(variables: Mapping[str, str], port: int) -> Address:
    """Returns the address that PET_MASTER_ADDR names, by number or by host name."""
    name = variables.get(ADDRESS, "")
    if not name:
        raise _no_address("the ranks of several nodes meet at an address", "nothing")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise _no_address(f"no address has this name: {error.strerror}", name) from error
    address = ipaddress.ip_address(found)
    if wrong := _unfit(address, name, variables):
        raise _no_address(wrong, name if name == str(address) else f"{name}, which is {address}")
    return address


def _no_address(rule: str, given: str) -> ConfigError:
    return ConfigError(
        Problem(rule, (ADDRESS,), allowed="an address of the first node in a private network", given=given)
    )


def _unfit(address: Address, name: str, variables: Mapping[str, str]) -> str | None:
    """Returns the reason not to meet at this address, or None."""
    if address.is_unspecified or address.is_multicast:
        return "the ranks listen at one address, not at all of a machine"
    if address.is_loopback and name not in ("localhost", str(address)):
        return "other nodes cannot reach this one by a name that leads each to itself"
    if address.is_global and INTERFACES[0] not in variables:
        named = " and ".join(INTERFACES)
        rule = "whoever reaches a public address can run code in the run; where only machines that you trust reach it"
        return f"{rule}, name its interface in {named}"
    return None


def _own_address_towards(address: Address, port: int) -> Address:
    """Returns the address of this machine from which packets to `address` leave."""
    try:
        return own_address_towards(address, port)
    except OSError as error:
        raise _no_address(f"no interface of this machine leads there: {error.strerror}", str(address)) from error


def _interface_with(address: Address) -> str:
    """Returns the name of the interface with an address."""
    name = interface_with(address)
    if name is None:
        raise ConfigError(Problem(f"no interface of this machine has the address {address}", (ADDRESS,)))
    return name
