"""Reads and counts the numbers of each step in order, one step late, so that a step never waits for the device.

All numbers of a run (divergence, meter, speed) change only here. Decisions depend on the order of steps only: code that
needs the numbers at a step settles first, so a run that a checkpoint interrupts anywhere makes the same decisions.
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
    """The run has diverged; `verdict` says how."""

    def __init__(self, verdict: DivergenceNotice) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class InFlight:
    """A step whose numbers the device may still compute: `numbers` is [loss, gradient norm] or [loss, gradient norm,
    loss scale]. `second` counts the sublayers that ran in a second network with its own schedule.
    """

    done: int
    ran: Executed
    numbers: Tensor
    begun: Mark
    turned: Mark
    ended: Mark
    second: Executed = NOTHING


class Telemetry:
    """Holds the last step until the next one has been launched."""

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
        """Takes the next step and counts the previous one. Raises Diverged."""
        self.settle()
        self._pending = step

    def settle(self) -> None:
        """Counts every step so far; waits for the device if needed. Raises Diverged."""
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
        """Settles; the time inside the context is not training time."""
        self.settle()
        yield
        self.restart_clock()

    def restart_clock(self) -> None:
        """Starts the time of the next step now."""
        synchronize(self._device)
        self._since = self._clock.mark()

    def begin_branch(self) -> None:
        """Sets sums and counts to zero for a branch. The detector keeps the losses that it compares with."""
        self.meter = self.meter.emptied()
        self.speed = Speed()
        self.detector.begin_counts()

    def overall(self) -> dict[str, float]:
        """Returns the timing of the whole run; `speed/mfu` is executed FLOPs a second over the rate that the devices
        reach on matrix products alone.
        """
        numbers = self.speed.overall()
        if self.speed.seconds > 0:
            rate = self.meter.progress()["progress/tflop"] * 1e12 / self.speed.seconds
            numbers["speed/mfu"] = rate / (self._ranks * matrix_rate(self._device, self._precision))
        return numbers

    def since(self, earlier: Mapping[str, Any] | None) -> tuple[float, float]:
        """Returns the TFLOP and the seconds spent since the state of a checkpoint (None: since the start). The run will
        spend them again.
        """
        meter, seconds = self.meter.emptied(), 0.0
        if earlier is not None:
            meter.restore(earlier["meter"])
            seconds = earlier["speed"]["seconds"]
        tflop = self.meter.progress()["progress/tflop"] - meter.progress()["progress/tflop"]
        return max(0.0, tflop), max(0.0, self.speed.seconds - seconds)

    def state(self) -> dict[str, Any]:
        """Returns the state for a checkpoint; all steps must be settled."""
        assert self._pending is None
        return {"detector": self.detector.state(), "meter": self.meter.state(), "speed": self.speed.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of a checkpoint: detector, meter and speed."""
        self.detector.restore(state["detector"])
        self.meter.restore(state["meter"])
        self.speed.restore(state["speed"])
