"""The rate of a device on matrix products alone, in the precision of a run: the reference of `speed/mfu`, the share of
this rate that training reaches.
"""

from __future__ import annotations

import time

import torch

from pld_search.specs.experiment import Precision
from pld_search.training.device import synchronize

_SIDES = {"cpu": (512,), "cuda": (4096, 8192)}
_SECONDS = {"cpu": 0.02, "cuda": 0.05}
_TRIES = {"cpu": 10, "cuda": 3}  # other processes may occupy half of a CPU's cores for a tenth of a second
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def matrix_rate(device: torch.device, precision: Precision) -> float:
    """Returns the FLOPs a second of products of square matrices (2 n^3 each): the best over a few sizes and
    repetitions, with the present number of threads.

    Measures fp32 for fp16 on a CPU, since CPUs do not compute products in fp16.
    """
    dtype = torch.float32 if device.type == "cpu" and precision == "fp16" else _DTYPES[precision]
    return max(_rate(side, device, dtype) for side in _SIDES[device.type])


def _rate(side: int, device: torch.device, dtype: torch.dtype) -> float:
    generator = torch.Generator().manual_seed(0)  # constant matrices need less power, and the device runs them faster
    left, right = (torch.randn((side, side), generator=generator).to(device, dtype) for _ in range(2))
    out = torch.empty_like(left)
    once = _seconds(left, right, out, 3)
    count = max(3, int(_SECONDS[device.type] / max(once, 1e-9)))
    return 2 * side**3 / min(_seconds(left, right, out, count) for _ in range(_TRIES[device.type]))


def _seconds(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor, count: int) -> float:
    """Returns the seconds of one product, averaged over `count` products in a row."""
    synchronize(left.device)
    begun = time.perf_counter()
    for _ in range(count):
        torch.mm(left, right, out=out)
    synchronize(left.device)
    return (time.perf_counter() - begun) / count
