"""What one timed process is given and what it answers, as lines of JSON over its pipes."""

from __future__ import annotations

from typing import Literal

from pld_search.frozen import Spec
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment


class TimedJob(Spec):
    """Train `experiment` with `engine`, from step `start`."""

    engine: Literal["pld-search", "trainer"]
    experiment: Experiment
    execution: Execution
    start: int = 0


class Burst(Spec):
    """`steps` steps took `seconds`, of which `inside` were spent in forward, backward and optimizer (None:
    not known).
    """

    steps: int
    seconds: float
    inside: float | None = None
    flops: float
    losses: tuple[float, ...]


class Peak(Spec):
    """Largest memory of the process: of the device, or on a CPU resident memory above what it was before the model was
    built.

    `micro_batch` sequences were one forward; `forecast` is what this project's engine was expected to take
    (forecast/memory.py).
    """

    bytes: int
    micro_batch: int
    forecast: int | None = None
