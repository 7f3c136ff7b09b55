"""The compute settings of a run: the device, its threads, and whether its kernels are deterministic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pld_search.errors import ConfigError, Problem
from pld_search.specs.execution import Execution


def open_device(execution: Execution, local: int | None = None) -> torch.device:
    """Returns the device of an execution; with several ranks the device with the rank's number on its node.

    Raises ConfigError if this machine has no such device.
    """
    device = torch.device(execution.device)
    if device.type == "cuda" and local is not None:
        if device.index is not None:
            raise ConfigError(
                Problem("each rank has a device of its own", ("device",), allowed="cpu | cuda", given=execution.device)
            )
        device = torch.device("cuda", local)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            allowed = "cpu" if count == 0 else f"cpu | cuda:0 .. cuda:{count - 1}"
            raise ConfigError(
                Problem("this machine has no such device", ("device",), allowed=allowed, given=str(device))
            )
        torch.cuda.set_device(device)
    return device


@contextmanager
def compute_settings(execution: Execution, device: torch.device) -> Iterator[None]:
    """Sets threads and determinism as the execution states them, and restores the process's own settings afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(execution.threads or threads)
    if execution.deterministic and device.type == "cuda":
        # cuBLAS is deterministic only with a fixed workspace
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _be_deterministic(execution.deterministic, execution.compile)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that writes every buffer twice
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _be_deterministic(deterministic, execution.compile)


def _be_deterministic(wanted: bool, compiled: bool) -> None:
    """Sets determinism. `use_deterministic_algorithms` loads the whole compiler, which adds one or two seconds to a
    start, so it is called only if the run compiles.
    """
    if compiled:
        torch.use_deterministic_algorithms(wanted)
    else:
        torch.set_deterministic_debug_mode("error" if wanted else "default")


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished all its work; returns at once on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
