"""The processors and graphics cards of this machine, found without loading torch, and the versions that a measured time
belongs to.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pld_search

_CPU_INFO = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_FLAGS = re.compile(r"^(?:flags|Features)\s*:\s*(.+)$", re.MULTILINE)
_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}
_CARD = re.compile(r"GPU \d+: (.+?) \(UUID: ")
_COUNT = "import torch; print(torch.cuda.device_count())"


def device_name(kind: str) -> str:
    """Returns the name of this machine's `cpu`, or of its first card for `cuda` (torch's name); `cuda` if no card
    answers.
    """
    return cpu_name() if kind == "cpu" else next(iter(card_names()), "cuda")


@cache
def cpu_name() -> str:
    """Returns the system's name of the processor and its number of cores: `cpu (AMD EPYC 7B13, 2 cores)`."""
    found = _MODEL.search(_CPU_INFO.read_text(errors="replace")) if _CPU_INFO.is_file() else None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"cpu ({name}, {os.cpu_count()} cores)"


@cache
def fast_bf16() -> bool | None:
    """Whether the processor multiplies bf16 natively (AVX-512 BF16, AMX, or Arm's); None if the system does not say.

    Without it bf16 is emulated by fp32, more slowly.
    """
    if not _CPU_INFO.is_file():
        return None
    found = _FLAGS.search(_CPU_INFO.read_text(errors="replace"))
    return None if found is None else not _BF16.isdisjoint(found[1].split())


def usable_cores() -> int:
    """Returns the number of cores that this process may use; all of the machine if the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the ids of the GPUs for runs: CUDA_VISIBLE_DEVICES if it is set, else the list of `nvidia-smi`; empty
    without `nvidia-smi`.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    stated = environment.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return tuple(word.strip() for word in stated.split(",") if word.strip() not in ("", "-1"))
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False, timeout=30).stdout
    return tuple(str(number) for number, line in enumerate(filter(None, listed.splitlines())) if line.startswith("GPU"))


def torch_sees_gpus() -> bool:
    """Whether torch may have a GPU, checked in a separate process; only a clear `0` counts as none."""
    asked = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    return asked.stdout.strip() != "0"


@cache
def card_names() -> tuple[str, ...]:
    """Returns the cards that `nvidia-smi` lists; empty without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(_CARD.findall(listed))


@cache
def versions() -> dict[str, str]:
    """Returns the versions that a measured time belongs to: this package's and torch's."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "missing"
    return {"pld_search": pld_search.__version__, "torch": torch}
