"""GPUs that a machine is said to have, looked for before anything is started on them."""

from __future__ import annotations

import subprocess
import sys

from pld_search.errors import ConfigError, Problem
from pld_search.search.slots import Slots
from pld_search.specs.machine import Machine

_COUNT = "import torch; print(torch.cuda.device_count())"


def unseen_gpus(machine: Machine, slots: Slots) -> Problem | None:
    """`device: cuda` for runs of this machine, where `nvidia-smi` shows no GPU; a cluster's nodes are not looked at."""
    if machine.launcher != "local" or machine.device != "cuda" or slots.gpus:
        return None
    return Problem("no GPU is seen on this machine", ("device",), allowed="auto | cpu", given="cuda")


def check_gpus(machine: Machine, slots: Slots) -> None:
    """Raises ConfigError where runs are to have a GPU and neither `nvidia-smi` nor torch sees one."""
    problem = unseen_gpus(machine, slots)
    if problem is not None and not _torch_sees_some():
        raise ConfigError(problem)


def _torch_sees_some() -> bool:
    """Asked in a process of its own, as the coordinator goes without torch; only a clear `0` counts as none."""
    return (
        subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False).stdout.strip()
        != "0"
    )
