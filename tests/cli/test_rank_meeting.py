"""Where `train --ranks` lets its ranks meet: on one node out of everybody's reach, on several at a named address."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from pld_search.cli.rank_meeting import meeting_of
from pld_search.errors import ConfigError
from pld_search.host.network import loopback

SEVERAL = {"PET_NNODES": "2", "PET_NODE_RANK": "0", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": "29501"}


def test_one_node_meets_in_a_file_and_talks_on_the_loopback(tmp_path: Path) -> None:
    for variables in ({}, {"PET_NNODES": "1"}, {"MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "29500"}):
        found = meeting_of(3, tmp_path, variables)
        assert (found.url, found.first, found.world) == ((tmp_path / "meeting").as_uri(), 0, 3)
        addresses = {each.address for each in psutil.net_if_addrs()[found.interface]}
        assert "127.0.0.1" in addresses
        assert found.interfaces == {"GLOO_SOCKET_IFNAME": found.interface, "NCCL_SOCKET_IFNAME": f"={found.interface}"}


def test_several_nodes_meet_at_the_named_address(tmp_path: Path) -> None:
    first = meeting_of(2, tmp_path, SEVERAL)
    assert (first.url, first.interface, first.first, first.world) == ("tcp://127.0.0.1:29501", loopback(), 0, 4)
    second = meeting_of(2, tmp_path, {**SEVERAL, "PET_NODE_RANK": "1", "PET_MASTER_ADDR": "localhost"})
    assert (second.first, second.world) == (2, 4)
    usual = {name: value for name, value in SEVERAL.items() if name != "PET_MASTER_PORT"}
    assert meeting_of(2, tmp_path, usual).url == "tcp://127.0.0.1:29500"


def test_the_interface_is_the_one_that_leads_there(tmp_path: Path) -> None:
    private = [
        (name, each.address)
        for name, held in psutil.net_if_addrs().items()
        for each in held
        if each.family == socket.AF_INET and not each.address.startswith("127.") and psutil.net_if_stats()[name].isup
    ]
    if not private:
        pytest.skip("this machine has no address but its loopback's")
    name, address = private[0]
    assert (
        meeting_of(1, tmp_path, {**SEVERAL, "PET_MASTER_ADDR": address, "GLOO_SOCKET_IFNAME": name}).interface == name
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PET_NNODES": "two"}, r"PET_NNODES: .* given: two"),
        ({"PET_NNODES": "1:2"}, r"PET_NNODES: .* given: 1:2"),
        ({"PET_NODE_RANK": None}, r"PET_NODE_RANK: .*allowed: 0 \.\. 1; given: nothing"),
        ({"PET_NODE_RANK": "2"}, r"PET_NODE_RANK: .*allowed: 0 \.\. 1; given: 2"),
        ({"PET_MASTER_PORT": "70000"}, r"PET_MASTER_PORT: .* given: 70000"),
        (
            {"PET_MASTER_ADDR": None},
            r"PET_MASTER_ADDR: the ranks of several nodes meet at an address; .*given: nothing",
        ),
        ({"PET_MASTER_ADDR": "0.0.0.0"}, r"PET_MASTER_ADDR: .*not at all of a machine"),
        ({"PET_MASTER_ADDR": "::"}, r"PET_MASTER_ADDR: .*not at all of a machine"),
        ({"PET_MASTER_ADDR": "no.such.host.invalid"}, r"PET_MASTER_ADDR: no address has this name"),
        ({"PET_MASTER_ADDR": "8.8.8.8"}, r"PET_MASTER_ADDR: whoever reaches a public address .*GLOO_SOCKET_IFNAME"),
        ({"PET_MASTER_ADDR": "203.0.113.7"}, r"PET_MASTER_ADDR: this is the first node .*its address is"),
    ],
)
def test_what_is_refused(tmp_path: Path, changes: dict[str, str | None], said: str) -> None:
    variables = {name: value for name, value in {**SEVERAL, **changes}.items() if value is not None}
    with pytest.raises(ConfigError, match=said):
        meeting_of(2, tmp_path, variables)


def test_a_name_that_leads_every_node_to_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a machine's own name stands beside 127.0.1.1 in /etc/hosts."""
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.1.1", 29500))]
    )
    with pytest.raises(ConfigError, match=r"leads each to itself; .*given: node-1, which is 127\.0\.1\.1"):
        meeting_of(2, tmp_path, {**SEVERAL, "PET_MASTER_ADDR": "node-1"})


def test_a_public_address_may_be_meant(tmp_path: Path) -> None:
    """Where the interface is named, it is only asked whether this machine is the first node."""
    with pytest.raises(ConfigError, match=r"this is the first node|no interface of this machine leads there"):
        meeting_of(2, tmp_path, {**SEVERAL, "PET_MASTER_ADDR": "8.8.8.8", "GLOO_SOCKET_IFNAME": "eth0"})
