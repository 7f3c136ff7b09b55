"""The origin of a run: versions, machine, threads, and the commit of the package if it is a checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch

import pld_search
from pld_search.host.hardware import cpu_name
from pld_search.records.events import RunStarted, read_run_events

DECIDING = ("device_type", "device", "threads", "ranks", "mode", "micro_batch", "versions")


def provenance(device: torch.device, ranks: int = 1, mode: str = "single") -> dict[str, Any]:
    """Returns the facts that a reader needs to repeat a run or to doubt it; JSON values only."""
    return {
        "versions": {
            "pld_search": pld_search.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": version("transformers"),
            "numpy": numpy.__version__,
        },
        "commit": commit(),
        "platform": platform.platform(),
        "host": platform.node(),
        "device": device_name(device),
        "device_type": device.type,
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "mode": mode,
        "pid": os.getpid(),
    }


def device_name(device: torch.device) -> str:
    """Returns the device's own name: the graphics card's, else the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name()


def changes(events: Path) -> dict[str, list[Any]]:
    """Returns the differences between the last attempt in a run's events and the attempt before, as name -> [before,
    now]. An empty result means that the run continues exactly.

    With the same device type, device, threads, ranks, mode, micro-batch and versions a run continues bit by bit, else
    up to rounding.
    """
    started = [event.provenance or {} for event in read_run_events(events) if isinstance(event, RunStarted)]
    earlier, now = [{}, {}, *started][-2:]
    return {name: [earlier[name], now[name]] for name in DECIDING if name in earlier and earlier[name] != now[name]}


def commit() -> str | None:
    """Returns the commit of the checkout of this package, with `+` if files differ from it; None outside a checkout."""
    root = Path(pld_search.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    head = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{head}+" if head and changed else head


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
