"""Marks in a device's queue of work, and the seconds between two marks. Taking a mark never waits for the device."""

from __future__ import annotations

import time

import torch

Mark = float | torch.cuda.Event


class Clock:
    """`time.perf_counter` on a CPU, where the work is done when a call returns; events in the stream on CUDA."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"

    def mark(self) -> Mark:
        """Returns the present moment: seconds on a CPU, an event in the current stream on CUDA."""
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def seconds(self, start: Mark, end: Mark) -> float:
        """Returns the seconds from one mark to a later one; waits until the device has passed the later mark."""
        if isinstance(start, float) or isinstance(end, float):
            assert isinstance(start, float) and isinstance(end, float)
            return end - start
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000
