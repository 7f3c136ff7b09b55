"""When a run counts as diverged: a pure detector over what each step observed, with a state that a checkpoint can hold.

Five ways to diverge, each a kind in the verdict (a sixth, `nonfinite_validation`, is seen where validation is done):

- `nonfinite_loss`: the loss is not finite for `nonfinite_steps` steps in a row;
- `nonfinite_gradients`: the gradients are not finite for as many (not in fp16, where they are the loss scaler's search:
  that ends in a finite step or in the next rule);
- `loss_scale`: the loss scale has fallen below `min_loss_scale` (fp16);
- `loss_spike`: the loss lies `spike` nats above the running median of the last `window` ordinary losses for
  `spike_steps` steps. Losses above that line do not enter the median, so a plateau that stays above is found whatever
  the window.
- `at_chance`: from `chance` of the run on, the median of a full window is not below ln V, the loss of a uniform guess
  over the V tokens of the tokenizer. A run of fewer than `window` steps is too short to say. It has been bad from its
  first step.

A verdict depends on the numbers of the steps alone, [loss, gradient norm, loss scale] as reduced over all ranks.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from pld_search.specs.experiment import Divergence


@dataclass(frozen=True, slots=True)
class Observation:
    """What one step showed. `step` counts completed steps, this one included; `loss_scale` is the one after
    it (fp16).
    """

    step: int
    loss: float
    grad_norm: float
    loss_scale: float | None = None

    @property
    def skipped(self) -> bool:
        """Whether the optimizer left everything as it was because the gradients were not finite."""
        return not math.isfinite(self.grad_norm)


DivergenceKind = Literal[
    "nonfinite_loss", "nonfinite_gradients", "loss_scale", "loss_spike", "at_chance", "nonfinite_validation"
]


@dataclass(frozen=True, slots=True)
class DivergenceNotice:
    """How a run diverged, by name and in words, since which step, and the step at which that was certain."""

    kind: DivergenceKind
    reason: str
    first_bad_step: int
    step: int


@dataclass(slots=True)
class Streak:
    """Consecutive bad steps: how many, and the first of them."""

    length: int = 0
    since: int = 0

    def note(self, bad: bool, step: int) -> None:
        """Count a bad step, or end the streak with a good one."""
        if bad and self.length == 0:
            self.since = step
        self.length = self.length + 1 if bad else 0


@dataclass(slots=True)
class Detector:
    """Observes every step in order; the first verdict ends the run. `skipped`, `spikes` and `lowest_scale` are its
    counts.

    `uniform` is ln V, `total` the T of the run; without them no loss is ever at chance.
    """

    rules: Divergence
    uniform: float = math.inf
    total: int = 0
    losses: deque[float] = field(default_factory=deque)
    loss: Streak = field(default_factory=Streak)
    gradients: Streak = field(default_factory=Streak)
    spike: Streak = field(default_factory=Streak)
    skipped: int = 0
    spikes: int = 0
    lowest_scale: float | None = None
    chance_from: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.chance_from = self.rules.chance_from(self.total)

    def observe(self, seen: Observation) -> DivergenceNotice | None:
        """Count one step; a verdict if with it the run has diverged."""
        self.loss.note(not math.isfinite(seen.loss), seen.step)
        self.gradients.note(seen.skipped, seen.step)
        self.skipped += seen.skipped
        self._watch_spikes(seen)
        if seen.loss_scale is not None:
            self.lowest_scale = (
                seen.loss_scale if self.lowest_scale is None else min(self.lowest_scale, seen.loss_scale)
            )
        return self._verdict(seen)

    def _watch_spikes(self, seen: Observation) -> None:
        above = math.isfinite(seen.loss) and len(self.losses) > 0 and seen.loss > median(self.losses) + self.rules.spike
        self.spike.note(above, seen.step)
        self.spikes += above and self.spike.length == 1
        if math.isfinite(seen.loss) and not above:
            self.losses.append(seen.loss)
            while len(self.losses) > self.rules.window:
                self.losses.popleft()

    def _verdict(self, seen: Observation) -> DivergenceNotice | None:
        rules, scaled = self.rules, seen.loss_scale is not None
        if self.loss.length >= rules.nonfinite_steps:
            return DivergenceNotice(
                "nonfinite_loss", f"the loss was not finite for {self.loss.length} steps", self.loss.since, seen.step
            )
        if seen.loss_scale is not None and seen.loss_scale < rules.min_loss_scale:
            since = self.gradients.since if self.gradients.length else seen.step
            return DivergenceNotice(
                "loss_scale",
                f"the loss scale collapsed to {seen.loss_scale:g}, below {rules.min_loss_scale:g}",
                since,
                seen.step,
            )
        if not scaled and self.gradients.length >= rules.nonfinite_steps:
            return DivergenceNotice(
                "nonfinite_gradients",
                f"the gradients were not finite for {self.gradients.length} steps",
                self.gradients.since,
                seen.step,
            )
        if self.spike.length >= rules.spike_steps:
            reason = (
                f"the loss stayed more than {rules.spike:g} nats above its running median for {self.spike.length} steps"
            )
            return DivergenceNotice("loss_spike", reason, self.spike.since, seen.step)
        if self._at_chance(seen.step):
            return DivergenceNotice(
                "at_chance",
                f"the loss was still that of a uniform guess ({self.uniform:.2f}) after {seen.step} steps",
                1,
                seen.step,
            )
        return None

    def _at_chance(self, step: int) -> bool:
        due = self.chance_from is not None and step >= self.chance_from and len(self.losses) == self.rules.window
        return due and median(self.losses) >= self.uniform

    @property
    def calm(self) -> bool:
        """Whether no bad step is waiting for others: whatever is found later began later."""
        return not any(streak.length for streak in self._streaks().values())

    def begin_counts(self) -> None:
        """The counts start at zero; streaks and losses stay."""
        self.skipped, self.spikes, self.lowest_scale = 0, 0, None

    def state(self) -> dict[str, Any]:
        """Everything a later attempt needs, as plain numbers."""
        streaks = {name: [streak.length, streak.since] for name, streak in self._streaks().items()}
        return {
            "losses": list(self.losses),
            **streaks,
            "skipped": self.skipped,
            "spikes": self.spikes,
            "lowest_scale": self.lowest_scale,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state()` gave."""
        self.losses = deque(state["losses"])
        for name, streak in self._streaks().items():
            streak.length, streak.since = state[name]
        self.skipped, self.spikes, self.lowest_scale = state["skipped"], state["spikes"], state["lowest_scale"]

    def _streaks(self) -> dict[str, Streak]:
        return {"loss": self.loss, "gradients": self.gradients, "spike": self.spike}

    def metrics(self) -> dict[str, float]:
        """The `divergence/*` counts so far."""
        counts = {"divergence/skipped_steps": float(self.skipped), "divergence/loss_spikes": float(self.spikes)}
        return counts if self.lowest_scale is None else {**counts, "divergence/min_loss_scale": self.lowest_scale}
