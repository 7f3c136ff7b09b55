"""The input and the answers of one timed process, as lines of JSON over its pipes."""

from __future__ import annotations

from typing import Literal

from pld_search.frozen import Spec
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment


class TimedJob(Spec):
    """A job: train `experiment` with `engine`, from step `start`."""

    engine: Literal["pld-search", "trainer"]
    experiment: Experiment
    execution: Execution
    start: int = 0


class Burst(Spec):
    """The time of `steps` steps: `seconds` in all, of which `inside` seconds in forward, backward and optimizer (None:
    not known).
    """

    steps: int
    seconds: float
    inside: float | None = None
    flops: float
    losses: tuple[float, ...]


class Peak(Spec):
    """The peak memory of the process: device memory, or on a CPU resident memory above its value before the model was
    built.

    `micro_batch` sequences formed one forward; `forecast` is the forecast for this project's engine (costs/memory.py).
    """

    bytes: int
    micro_batch: int
    forecast: int | None = None
