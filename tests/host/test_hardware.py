from __future__ import annotations

import os

import pytest

from pld_search.host import hardware
from pld_search.host.hardware import cpu_name, usable_cores, visible_gpus


def test_stated_gpus_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.shutil, "which", lambda _: None)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "0,1"}) == ()
    monkeypatch.setattr(hardware.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": " 3, GPU-ab"}) == ("3", "GPU-ab")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == ()


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert f"{os.cpu_count()} cores)" in cpu_name()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert usable_cores() == os.cpu_count()
