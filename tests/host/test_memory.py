"""How much memory is left: of a GPU, of the machine, of the groups that limit a process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pld_search.specs.execution import Execution
from pld_search.training import room
from pld_search.training.room import Room, host_room, resident_bytes, room_of

KIB, GIB = 1024, 1024**3


def test_the_machine_and_every_group_above_have_a_say(tmp_path: Path) -> None:
    machine, own, root = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "sys"
    machine.write_text("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    600 kB\n")
    assert host_room(machine, tmp_path / "none", root) == Room(1000 * KIB, 600 * KIB)
    own.write_text("0::/a/b\n")
    for place, limit, used in (("a/b", "max", 5), ("a", str(800 * KIB), 500 * KIB)):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "memory.max").write_text(f"{limit}\n")
        (root / place / "memory.current").write_text(f"{used}\n")
        (root / place / "memory.stat").write_text(f"anon 3\ninactive_file {100 * KIB}\nactive_file 7\n")
    assert host_room(machine, own, root) == Room(800 * KIB, 400 * KIB)


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    own, group = tmp_path / "cgroup", tmp_path / "sys" / "memory" / "job"
    own.write_text("4:memory:/job\n0::/\n")
    group.mkdir(parents=True)
    (group.parent / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (group / "memory.limit_in_bytes").write_text("4096\n")
    (group / "memory.usage_in_bytes").write_text("1024\n")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 24\n")
    assert host_room(own=own, root=tmp_path / "sys") == Room(4096, 3096)


def test_this_machine() -> None:
    found = host_room()
    assert 0 < found.free <= found.total
    assert 10_000_000 < resident_bytes() < found.total


def test_processes_share_the_memory_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "host_room", lambda: Room(80 * GIB, 30 * GIB))
    monkeypatch.setattr(room, "resident_bytes", lambda: GIB)
    cpu = torch.device("cpu")
    assert room_of(Execution(), cpu) == 30 * GIB
    assert room_of(Execution(sharing=4), cpu) == 19 * GIB
    assert room_of(Execution(), cpu, ranks=4) == 30 * GIB // 4
    assert room_of(Execution(memory_gb=2.0, sharing=4), cpu) == 2 * 10**9 - GIB
    assert room_of(Execution(memory_gb=0.5), cpu) == 0


def test_a_gpu_has_what_is_free_and_what_torch_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * GIB)
    cuda = torch.device("cuda", 0)
    assert room_of(Execution(device="cuda"), cuda, ranks=8) == 33 * GIB
    assert room_of(Execution(device="cuda", sharing=4), cuda) == 18 * GIB
    assert room_of(Execution(device="cuda", memory_gb=10.0), cuda) == 10**10 - 2 * GIB
