"""Reads what steps showed one step late, so that a step never waits for the device, and counts it in order.

All numbers of a run (divergence, meter, speed) change here and nowhere else. Decisions depend on the order of steps
only: whoever needs them at a step settles first, so a run that is cut anywhere by a checkpoint decides the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pld_search.schedules.micro_batch_gates import NOTHING, Executed
from pld_search.training.device import synchronize
from pld_search.training.device_clock import Clock, Mark
from pld_search.training.divergence import Detector, DivergenceNotice, Observation
from pld_search.training.matrix_rate import matrix_rate
from pld_search.training.meter import Meter
from pld_search.training.setup import Setup
from pld_search.training.speed import Speed


class Diverged(Exception):
    """The run has diverged; its verdict says how."""

    def __init__(self, verdict: DivergenceNotice) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class InFlight:
    """A step whose numbers may still be computed: `numbers` is [loss, gradient norm] or [loss, gradient norm, loss
    scale]; `second` is what ran of a second network that drops layers.
    """

    done: int
    ran: Executed
    numbers: Tensor
    begun: Mark
    turned: Mark
    ended: Mark
    second: Executed = NOTHING


class Telemetry:
    """Holds the last step until the next one was launched."""

    def __init__(self, setup: Setup) -> None:
        experiment = setup.experiment
        self._lengths = experiment.data.lengths_at(experiment.steps)
        self._sizes = setup.sizes
        chance = setup.objective.costs.uniform_guess(experiment.model.vocabulary)
        self.detector = Detector(experiment.divergence, chance, experiment.steps)
        self.meter = Meter(setup.flops, experiment.model.layers, self._sizes, self._lengths)
        self.speed = Speed()
        self._clock: Clock = setup.clock
        self._device = setup.device
        self._ranks = setup.ranks.world
        self._precision = setup.precision
        self._pending: InFlight | None = None
        self._since: Mark = self._clock.mark()

    def push(self, step: InFlight) -> None:
        """Take the next step and count the one before. Raises Diverged."""
        self.settle()
        self._pending = step

    def settle(self) -> None:
        """Count every step so far, waiting for the device where needed. Raises Diverged."""
        if self._pending is None:
            return
        step, self._pending = self._pending, None
        whole = self._clock.seconds(self._since, step.ended)
        self._since = step.ended
        if step.done - 1 in self.meter.flops.begins:
            self.speed.other_steps()
        tokens = self._sizes.before(step.done - 1) * self._lengths.before(step.done - 1)
        self.speed.step(self._clock.seconds(step.begun, step.turned), whole, tokens)
        loss, norm, *scale = step.numbers.tolist()
        seen = Observation(step.done, loss, norm, scale[0] if scale else None)
        self.meter.observe(seen, step.ran, step.second)
        verdict = self.detector.observe(seen)
        if verdict is not None:
            raise Diverged(verdict)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Settles; what happens inside is not training time."""
        self.settle()
        yield
        self.restart_clock()

    def restart_clock(self) -> None:
        """The next step's time begins now."""
        synchronize(self._device)
        self._since = self._clock.mark()

    def begin_branch(self) -> None:
        """Count a branch for itself: sums and counts from zero. The detector keeps the losses that it compares with."""
        self.meter = self.meter.emptied()
        self.speed = Speed()
        self.detector.begin_counts()

    def overall(self) -> dict[str, float]:
        """The timing of the whole run; `speed/mfu` is executed FLOPs a second over what the devices reach on matrix
        products alone.
        """
        numbers = self.speed.overall()
        if self.speed.seconds > 0:
            rate = self.meter.progress()["progress/tflop"] * 1e12 / self.speed.seconds
            numbers["speed/mfu"] = rate / (self._ranks * matrix_rate(self._device, self._precision))
        return numbers

    def since(self, earlier: Mapping[str, Any] | None) -> tuple[float, float]:
        """What was spent since the state of a checkpoint (None: since the start): TFLOP and seconds that will be spent
        again.
        """
        meter, seconds = self.meter.emptied(), 0.0
        if earlier is not None:
            meter.restore(earlier["meter"])
            seconds = earlier["speed"]["seconds"]
        tflop = self.meter.progress()["progress/tflop"] - meter.progress()["progress/tflop"]
        return max(0.0, tflop), max(0.0, self.speed.seconds - seconds)

    def state(self) -> dict[str, Any]:
        """For a checkpoint; taken while nothing is in flight."""
        assert self._pending is None
        return {"detector": self.detector.state(), "meter": self.meter.state(), "speed": self.speed.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from the state of a checkpoint: detector, meter and speed."""
        self.detector.restore(state["detector"])
        self.meter.restore(state["meter"])
        self.speed.restore(state["speed"])
