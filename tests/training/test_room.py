"""How much memory is left: of a GPU, or of the machine, for one of the processes that share it."""

from __future__ import annotations

import pytest
import torch

from pld_search.host.host_memory import HostMemory
from pld_search.specs.execution import Execution
from pld_search.training import room
from pld_search.training.room import room_of

GIB = 1024**3


def test_processes_share_the_memory_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "host_memory", lambda: HostMemory(80 * GIB, 30 * GIB))
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
