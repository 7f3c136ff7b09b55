"""The deterministic numbers of a run: sums over all steps and over the steps since the last progress event.

They are kept on the host, in the order of the steps, and are part of a checkpoint: a resumed run writes the same
events.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pld_search.costs.flops import FlopsAt, StepFlops
from pld_search.schedules.micro_batch_gates import NOTHING, Executed
from pld_search.schedules.rising_stages import StagesAt
from pld_search.training.divergence import Observation

_TERA = 1e12


def _add(one: Executed, other: Executed) -> Executed:
    return Executed(one.attention + other.attention, one.feed_forward + other.feed_forward)


@dataclass(slots=True)
class Mean:
    """A mean over finite values; None before the first value."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Adds a value; ignores NaN and infinities."""
        if math.isfinite(value):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float | None:
        """The mean so far; None before the first finite value."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class Interval:
    """The numbers since the last progress event. `ran` counts sequences through sublayers."""

    loss: Mean = field(default_factory=Mean)
    grad_norm: Mean = field(default_factory=Mean)
    ran: Executed = NOTHING
    steps: int = 0


@dataclass(slots=True)
class Stage:
    """The steps of one kind (length, masking rate), and the sequences that ran through sublayers in these steps."""

    steps: int = 0
    ran: Executed = NOTHING


@dataclass(slots=True)
class Meter:
    """The sums of a run. `flops` refer to global batches of `sequences` sequences; each sequence runs through the
    sublayers that its own gates keep.

    The meter counts sequences, separately for each length, so that all sums are exact. A layer of which one half runs
    counts half, and a layer that runs for some of the sequences counts with their share; each half has its own FLOPs.
    """

    flops: FlopsAt
    layers: int
    sequences: int
    lengths: StagesAt
    stages: list[Stage] = field(default_factory=list)
    interval: Interval = field(default_factory=Interval)

    def __post_init__(self) -> None:
        self.stages = self.stages or [Stage() for _ in self.flops.each]

    def emptied(self) -> Meter:
        """Returns a meter of the same run that has counted nothing yet."""
        return Meter(self.flops, self.layers, self.sequences, self.lengths)

    def observe(self, seen: Observation, ran: Executed) -> None:
        """Counts one step and the sublayers that ran in it. A step that the optimizer skipped also counts."""
        stage = self.stages[self.flops.number(seen.step - 1)]
        stage.steps += 1
        stage.ran = _add(stage.ran, ran)
        self.interval.loss.add(seen.loss)
        self.interval.grad_norm.add(seen.grad_norm)
        self.interval.ran = _add(self.interval.ran, ran)
        self.interval.steps += 1

    def take_interval(self) -> dict[str, float]:
        """Returns the means since the last call, without means over no finite value. Begins the next interval."""
        done, self.interval = self.interval, Interval()
        means = {"train/loss": done.loss.value, "train/grad_norm": done.grad_norm.value}
        if done.steps:
            means["drop/layers_kept"] = self._layers(done.ran, done.steps)
        return {**{name: value for name, value in means.items() if value is not None}, **self.progress()}

    @property
    def block_flops(self) -> float:
        """The FLOPs executed in blocks so far."""
        return self._of_batches / self.sequences

    @property
    def _counted(self) -> list[tuple[StepFlops, Stage]]:
        return list(zip(self.flops.each, self.stages, strict=True))

    @property
    def _of_batches(self) -> int:
        """The executed FLOPs of blocks times the sequences of a batch: a whole number."""
        return sum(
            each.attention * stage.ran.attention + each.feed_forward * stage.ran.feed_forward
            for each, stage in self._counted
        )

    @property
    def _fixed(self) -> int:
        return sum(each.fixed * stage.steps for each, stage in self._counted)

    def _layers(self, ran: Executed, steps: int) -> float:
        """Returns the average number of layers that a sequence passed through in one step."""
        return sum(ran) / (2 * self.sequences * steps)

    def progress(self) -> dict[str, float]:
        """Returns the tokens and the TFLOP of matrix products executed so far, by metric name."""
        tokens = self.sequences * sum(
            self.lengths.before(begin) * stage.steps
            for begin, stage in zip(self.flops.begins, self.stages, strict=True)
        )
        return {"progress/tokens": float(tokens), "progress/tflop": (self.block_flops + self._fixed) / _TERA}

    def totals(self) -> dict[str, float]:
        """Returns the sums of the whole run: the executed work, and its saving against full depth in as many steps."""
        steps = sum(stage.steps for stage in self.stages)
        if not steps:
            return self.progress()
        full = sum(each.block * self.layers * stage.steps for each, stage in self._counted)
        ran = Executed(*(sum(halves) for halves in zip(*(stage.ran for stage in self.stages), strict=True)))
        return {
            "saved/flops": 1 - (self.block_flops + self._fixed) / (full + self._fixed),
            "saved/block_flops": 1 - self._of_batches / (full * self.sequences),
            "drop/layers_kept": self._layers(ran, steps),
            **self.progress(),
        }

    def state(self) -> dict[str, Any]:
        """Returns the meter's part of a checkpoint, as plain values."""
        interval = {**asdict(self.interval), "ran": list(self.interval.ran)}
        return {"stages": [[stage.steps, *stage.ran] for stage in self.stages], "interval": interval}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of a checkpoint."""
        self.stages, interval = [Stage(steps, Executed(*ran)) for steps, *ran in state["stages"]], state["interval"]
        self.interval = Interval(
            Mean(**interval["loss"]), Mean(**interval["grad_norm"]), Executed(*interval["ran"]), interval["steps"]
        )
