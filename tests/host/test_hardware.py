from __future__ import annotations

import os
from pathlib import Path

import pytest

from pld_search.host import hardware
from pld_search.host.hardware import cpu_name, fast_bf16, usable_cores, visible_gpus


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


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512vbmi\n", True),
        ("flags\t\t: amx_bf16 avx2\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("processor: 0\n", None),
        (None, None),
    ],
)
def test_who_multiplies_bf16(
    text: str | None, fast: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names that Linux gives the features of x86 and of Arm."""
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(f"model name\t: one\n{text}")
    fast_bf16.cache_clear()
    try:
        assert fast_bf16() is fast
    finally:
        fast_bf16.cache_clear()
