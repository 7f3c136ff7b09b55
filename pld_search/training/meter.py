"""The deterministic numbers of a run: sums over all steps and over the steps since the last progress event.

They are kept on the host, in the order of the steps, and belong to a checkpoint: a resumed run writes the same events.
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
    """A mean over finite values; None before the first."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Count a value in; NaN and infinities are left out."""
        if math.isfinite(value):
            self.total += value
            self.count += 1

    @property
    def value(self) -> float | None:
        """The mean so far; None before the first finite value."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class Interval:
    """Since the last progress event. `ran` counts sequences through sublayers."""

    loss: Mean = field(default_factory=Mean)
    grad_norm: Mean = field(default_factory=Mean)
    ran: Executed = NOTHING
    steps: int = 0


@dataclass(slots=True)
class Stage:
    """The steps of one kind (length, rate of masking, batch size), and the sequences that ran through sublayers in
    them.
    """

    steps: int = 0
    ran: Executed = NOTHING
    second: Executed = NOTHING
    """The same of a second network that drops layers."""


@dataclass(slots=True)
class Meter:
    """`flops` are those of global batches of `sizes` sequences; each runs through the sublayers that its own gates
    keep.

    Sequences are counted, those of each kind of step apart, so that all sums are exact. A layer of which one half runs
    counts half, one that runs for some sequences their share; the FLOPs of the halves are their own. Every step counts
    alike in a mean over steps: where batches grow, sequences of a smaller one count as many times as make it a batch of
    their least common multiple.
    """

    flops: FlopsAt
    layers: int
    sizes: StagesAt
    lengths: StagesAt
    stages: list[Stage] = field(default_factory=list)
    interval: Interval = field(default_factory=Interval)

    def __post_init__(self) -> None:
        self.stages = self.stages or [Stage() for _ in self.flops.each]

    def emptied(self) -> Meter:
        """One of the same run that has counted nothing yet."""
        return Meter(self.flops, self.layers, self.sizes, self.lengths)

    def observe(self, seen: Observation, ran: Executed, second: Executed = NOTHING) -> None:
        """Count one step and what ran in it, also of a second network that drops layers. A step the optimizer skipped
        was executed all the same.
        """
        stage = self.stages[self.flops.number(seen.step - 1)]
        times = self._common // self.sizes.before(seen.step - 1)
        ran, second = (Executed(times * part.attention, times * part.feed_forward) for part in (ran, second))
        stage.steps += 1
        stage.ran, stage.second = _add(stage.ran, ran), _add(stage.second, second)
        self.interval.loss.add(seen.loss)
        self.interval.grad_norm.add(seen.grad_norm)
        self.interval.ran = _add(self.interval.ran, ran)
        self.interval.steps += 1

    def take_interval(self) -> dict[str, float]:
        """Means since the last call; a mean over no finite value is left out. Begins the next interval."""
        done, self.interval = self.interval, Interval()
        means = {"train/loss": done.loss.value, "train/grad_norm": done.grad_norm.value}
        if done.steps:
            means["drop/layers_kept"] = self._layers(done.ran, done.steps)
        return {**{name: value for name, value in means.items() if value is not None}, **self.progress()}

    @property
    def _common(self) -> int:
        """Sequences that every step is counted by: with one size of the batch that, else the least common multiple."""
        return math.lcm(*self.sizes.sizes)

    @property
    def block_flops(self) -> float:
        """Executed in blocks so far."""
        return self._of_batches / self._common

    @property
    def _counted(self) -> list[tuple[StepFlops, Stage]]:
        return list(zip(self.flops.each, self.stages, strict=True))

    @property
    def _of_batches(self) -> int:
        """Executed FLOPs of blocks x sequences of a batch: a whole number."""
        return sum(
            each.attention * stage.ran.attention + each.feed_forward * stage.ran.feed_forward
            for each, stage in self._counted
        )

    @property
    def _fixed(self) -> int:
        """What ran outside the encoder's layers: a whole number, since a sequence costs one."""
        second = sum(
            each.second[0] * stage.second.attention + each.second[1] * stage.second.feed_forward
            for each, stage in self._counted
        )
        return second // self._common + sum(each.fixed * stage.steps for each, stage in self._counted)

    def _layers(self, ran: Executed, steps: int) -> float:
        """Layers that a sequence passed through in one step, on average."""
        return sum(ran) / (2 * self._common * steps)

    def progress(self) -> dict[str, float]:
        """Tokens and TFLOP of matrix products executed so far, by their metric names."""
        tokens = sum(
            self.sizes.before(begin) * self.lengths.before(begin) * stage.steps
            for begin, stage in zip(self.flops.begins, self.stages, strict=True)
        )
        return {"progress/tokens": float(tokens), "progress/tflop": (self.block_flops + self._fixed) / _TERA}

    def totals(self) -> dict[str, float]:
        """Over the whole run: what was executed and what that saved against full depth for the same steps."""
        steps = sum(stage.steps for stage in self.stages)
        if not steps:
            return self.progress()
        full = sum(each.block * self.layers * stage.steps for each, stage in self._counted)
        fixed = sum((each.fixed + self.flops.second_at_full_depth(each)) * stage.steps for each, stage in self._counted)
        ran = Executed(*(sum(halves) for halves in zip(*(stage.ran for stage in self.stages), strict=True)))
        return {
            "saved/flops": 1 - (self.block_flops + self._fixed) / (full + fixed),
            "saved/block_flops": 1 - self._of_batches / (full * self._common),
            "drop/layers_kept": self._layers(ran, steps),
            **self.progress(),
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, as plain values."""
        interval = {**asdict(self.interval), "ran": list(self.interval.ran)}
        drops = self.flops.second is not None
        stages = [[stage.steps, *stage.ran, *(stage.second if drops else ())] for stage in self.stages]
        return {"stages": stages, "interval": interval}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a checkpoint."""
        interval = state["interval"]
        self.stages = [
            Stage(steps, Executed(*ran[:2]), Executed(*ran[2:]) if ran[2:] else NOTHING)
            for steps, *ran in state["stages"]
        ]
        self.interval = Interval(
            Mean(**interval["loss"]), Mean(**interval["grad_norm"]), Executed(*interval["ran"]), interval["steps"]
        )
