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
    """The steps of one kind (length, masking rate, batch size), and the sequences that ran through sublayers in these
    steps.
    """

    steps: int = 0
    ran: Executed = NOTHING
    second: Executed = NOTHING
    """The same for a second network with its own schedule."""


@dataclass(slots=True)
class Meter:
    """The sums of a run. `flops` refer to global batches of `sizes` sequences; each sequence runs through the sublayers
    that its own gates keep.

    The meter counts sequences, separately for each kind of step, so that all sums are exact. A layer of which one half
    runs counts half, and a layer that runs for some sequences counts their share; each half has its own FLOPs. Every
    step counts alike in a mean over steps: if batches grow, the sequences of a smaller batch count as often as the
    least common multiple of all batch sizes requires.
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
        """Returns a meter of the same run that has counted nothing yet."""
        return Meter(self.flops, self.layers, self.sizes, self.lengths)

    def observe(self, seen: Observation, ran: Executed, second: Executed = NOTHING) -> None:
        """Counts one step and the sublayers that ran in it; `second` are those of a second network with its own
        schedule. A step that the optimizer skipped also counts.
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
        """Returns the means since the last call, without means over no finite value. Begins the next interval."""
        done, self.interval = self.interval, Interval()
        means = {"train/loss": done.loss.value, "train/grad_norm": done.grad_norm.value}
        if done.steps:
            means["drop/layers_kept"] = self._layers(done.ran, done.steps)
        return {**{name: value for name, value in means.items() if value is not None}, **self.progress()}

    @property
    def _common(self) -> int:
        """The number of sequences by which every step counts: the least common multiple of all batch sizes."""
        return math.lcm(*self.sizes.sizes)

    @property
    def block_flops(self) -> float:
        """The FLOPs executed in blocks so far."""
        return self._of_batches / self._common

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
        """The FLOPs executed outside the encoder's layers. They are a whole number, since those of a sequence are."""
        second = sum(
            each.second[0] * stage.second.attention + each.second[1] * stage.second.feed_forward
            for each, stage in self._counted
        )
        return second // self._common + sum(each.fixed * stage.steps for each, stage in self._counted)

    def _layers(self, ran: Executed, steps: int) -> float:
        """Returns the average number of layers that a sequence passed through in one step."""
        return sum(ran) / (2 * self._common * steps)

    def progress(self) -> dict[str, float]:
        """Returns the tokens and the TFLOP of matrix products executed so far, by metric name."""
        tokens = sum(
            self.sizes.before(begin) * self.lengths.before(begin) * stage.steps
            for begin, stage in zip(self.flops.begins, self.stages, strict=True)
        )
        return {"progress/tokens": float(tokens), "progress/tflop": (self.block_flops + self._fixed) / _TERA}

    def totals(self) -> dict[str, float]:
        """Returns the sums of the whole run: the executed work, and its saving against full depth in as many steps."""
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
        """Returns the meter's part of a checkpoint, as plain values."""
        interval = {**asdict(self.interval), "ran": list(self.interval.ran)}
        drops = self.flops.second is not None
        stages = [[stage.steps, *stage.ran, *(stage.second if drops else ())] for stage in self.stages]
        return {"stages": stages, "interval": interval}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of a checkpoint."""
        interval = state["interval"]
        self.stages = [
            Stage(steps, Executed(*ran[:2]), Executed(*ran[2:]) if ran[2:] else NOTHING)
            for steps, *ran in state["stages"]
        ]
        self.interval = Interval(
            Mean(**interval["loss"]), Mean(**interval["grad_norm"]), Executed(*interval["ran"]), interval["steps"]
        )
