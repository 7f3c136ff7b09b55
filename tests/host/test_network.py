from __future__ import annotations

import ipaddress

import psutil
import pytest

from pld_search.errors import ConfigError
from pld_search.host.network import interface_with, loopback, own_address_towards

HERE, TEST_NET = ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("192.0.2.1")  # RFC 5737: nobody has it


def test_the_loopback_has_the_addresses_that_lead_to_this_machine() -> None:
    assert "127.0.0.1" in {each.address for each in psutil.net_if_addrs()[loopback()]}
    assert interface_with(ipaddress.ip_address("127.7.7.7")) == loopback()
    assert own_address_towards(HERE, 9) == HERE
    assert interface_with(TEST_NET) is None


def test_a_machine_without_a_loopback_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", dict)
    with pytest.raises(ConfigError, match=r"no interface of this machine has the address 127\.0\.0\.1"):
        loopback()
