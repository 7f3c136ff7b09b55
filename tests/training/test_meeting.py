"""Where ranks find each other: what listens there, and that it hands out bytes."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path

import pytest

from pld_search.training.parallel.meeting import open_store
from tests.sockets import listeners


class Bomb:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def free_port(host: str) -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        return int(found.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_first_rank_listens_at_the_named_address_alone(host: str) -> None:
    before, port = listeners(os.getpid()), free_port(host)
    meeting = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    first = open_store(meeting, 0, 1)
    opened = listeners(os.getpid()) - before
    assert [(each.address, each.port) for each in opened] == [(host, port)]
    first.set("key", "value")
    assert open_store(meeting, 1, 1).get("key") == b"value"


def test_a_file_opens_no_port(tmp_path: Path) -> None:
    before = listeners(os.getpid())
    stores = [open_store((tmp_path / "meeting").as_uri(), rank, 2) for rank in range(2)]
    stores[0].set("key", "value")
    assert stores[1].get("key") == b"value"
    assert listeners(os.getpid()) == before


def test_what_others_write_is_not_unpickled(tmp_path: Path) -> None:
    meeting = f"tcp://127.0.0.1:{free_port('127.0.0.1')}"
    first, written = open_store(meeting, 0, 1), pickle.dumps(Bomb(tmp_path / "bomb"), protocol=0).decode()
    open_store(meeting, 1, 1).set("key", written)
    assert first.get("key") == written.encode()
    assert not (tmp_path / "bomb").exists()
