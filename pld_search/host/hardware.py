"""What a machine calls itself, read without loading torch: names of processors and graphics cards, and versions that
decide speed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pld_search

_CPU_INFO = Path("/proc/cpuinfo")
_MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
_CARD = re.compile(r"GPU \d+: (.+?) \(UUID: ")


def device_name(kind: str) -> str:
    """The name of this machine's `cpu`, or of its first card for `cuda` (as torch names it); `cuda` where
    none answers.
    """
    return cpu_name() if kind == "cpu" else next(iter(card_names()), "cuda")


@cache
def cpu_name() -> str:
    """`cpu (AMD EPYC 7B13, 2 cores)`: the processor as the system names it, and how many cores there are."""
    found = _MODEL.search(_CPU_INFO.read_text(errors="replace")) if _CPU_INFO.is_file() else None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"cpu ({name}, {os.cpu_count()} cores)"


@cache
def card_names() -> tuple[str, ...]:
    """The cards that `nvidia-smi` lists; none without it."""
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
    """The versions that a measured time belongs to: this package's and torch's."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "missing"
    return {"pld_search": pld_search.__version__, "torch": torch}
