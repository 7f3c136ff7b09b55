from __future__ import annotations

import pytest

from pld_search.errors import ConfigError
from pld_search.search import gpus
from pld_search.search.gpus import check_gpus, unseen_gpus
from pld_search.search.slots import Slots
from pld_search.specs.launcher_settings import Slurm
from pld_search.specs.machine import Machine

STATED = Machine(device="cuda")


def test_torch_is_asked_before_a_gpu_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(ConfigError, match=r"device: no GPU is seen on this machine; allowed: auto \| cpu; given: cuda"):
        check_gpus(STATED, Slots(1, 1, device="cuda"))
    monkeypatch.setattr(gpus, "_COUNT", "print(1)")
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
