from __future__ import annotations

import os

import pytest

from pld_search.errors import ConfigError
from pld_search.host import hardware
from pld_search.search import slots as slots_module
from pld_search.search.slots import Slots, check_gpus, open_slots, unseen_gpus
from pld_search.specs.launcher_settings import Slurm
from pld_search.specs.machine import Machine

STATED = Machine(device="cuda")


@pytest.mark.parametrize(("count", "cores", "threads"), [(1, 8, 8), (2, 8, 4), (3, 8, 2), (8, 2, 1)])
def test_threads_are_divided_among_slots(count: int, cores: int, threads: int) -> None:
    slots = Slots(count, cores)
    assert slots.threads == threads
    assert slots.environment(0)["OMP_NUM_THREADS"] == str(threads)
    assert "CUDA_VISIBLE_DEVICES" not in slots.environment(0)


def test_the_lowest_free_slot_is_taken() -> None:
    slots = Slots(3, 3)
    assert [slots.take(), slots.take(), slots.take(), slots.free] == [0, 1, 2, 0]
    slots.give_back(2)
    slots.give_back(0)
    assert [slots.free, slots.take(), slots.take()] == [2, 0, 2]
    with pytest.raises(IndexError):
        slots.take()


def test_gpus_are_dealt_out_in_turn() -> None:
    slots = Slots(3, 4, ("5", "7"))
    assert [slots.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["5", "7", "5"]


def test_a_slot_has_gpus_of_its_own_for_each_of_its_ranks() -> None:
    slots = Slots(2, 8, ("4", "5", "6", "7"), ranks=2)
    assert [slots.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["4,5", "6,7"]
    assert slots.threads == 2


def test_a_run_from_when_there_were_more_slots_leaves_none_behind() -> None:
    slots = Slots(2, 2)
    slots.occupy(1)
    slots.occupy(5)
    assert slots.free == 1
    slots.give_back(5)
    slots.give_back(1)
    assert [slots.take(), slots.take(), slots.free] == [0, 1, 0]


def test_slots_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    stated = open_slots(Machine(device="cpu", slots=2, threads=3), {})
    assert (stated.free, stated.threads, stated.device) == (2, 3, "cpu")
    assert open_slots(Machine(device="cpu"), {}).free == cores
    monkeypatch.setattr(slots_module, "visible_gpus", lambda _: ("0", "1"))
    found = open_slots(Machine(), {})
    assert (found.free, found.device) == (2, "cuda")


@pytest.mark.parametrize(
    ("slots", "sharing"),
    [
        (Slots(3, 8), 3),
        (Slots(3, 8, ranks=2), 6),
        (Slots(2, 8, ("0", "1"), device="cuda"), 1),
        (Slots(5, 8, ("0", "1"), device="cuda"), 3),
        (Slots(2, 8, ("0", "1", "2", "3"), device="cuda", ranks=2), 1),
        (Slots(9, 1, device="cuda", ranks=2, together=False), 1),
        (Slots(9, 1, ranks=2, together=False), 2),
    ],
)
def test_how_many_processes_share_a_device(slots: Slots, sharing: int) -> None:
    assert slots.sharing == sharing


def test_torch_is_asked_before_a_gpu_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"device: no GPU is seen on this machine; allowed: auto \| cpu; given: cuda"):
        check_gpus(STATED, Slots(1, 1, device="cuda"))
    monkeypatch.setattr(hardware, "_COUNT", "print(1)")
    check_gpus(STATED, Slots(1, 1, device="cuda"))  # one that nvidia-smi does not know


@pytest.mark.parametrize(
    ("machine", "slots"),
    [
        (STATED, Slots(1, 1, ("0",), device="cuda")),
        (Machine(device="cpu"), Slots(1, 1)),
        (Machine(), Slots(1, 1)),
        (Machine(launcher="slurm", slots=2, device="cuda", slurm=Slurm()), Slots(2, 1, device="cuda", together=False)),
    ],
)
def test_nothing_is_missed_where_none_is_asked_for_or_a_cluster_has_them(machine: Machine, slots: Slots) -> None:
    assert unseen_gpus(machine, slots) is None
