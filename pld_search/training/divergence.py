"""The detector of divergence: a pure function of the numbers of each step, with a state that a checkpoint can hold.

A run can diverge in five ways; each is a kind of verdict (validation detects a sixth kind, `nonfinite_validation`):

- `nonfinite_loss`: the loss is not finite for `nonfinite_steps` steps in a row;
- `nonfinite_gradients`: the gradients are not finite for `nonfinite_steps` steps in a row (not in fp16: there the loss
  scaler causes such steps during its search, which ends in a finite step or in the next rule);
- `loss_scale`: the loss scale has fallen below `min_loss_scale` (fp16);
- `loss_spike`: the loss is `spike` nats above the running median of the last `window` ordinary losses for
  `spike_steps` steps. Losses above this limit do not enter the median, so a plateau above the limit is found for any
  `window`.
- `at_chance`: from the share `chance` of the run on, the median of a full window is not below the loss of a uniform
  guess (ln V for masked tokens, V being the number of tokens of the tokenizer). A run of fewer than `window` steps is
  too short for this rule. The first bad step is then step 1.

A verdict depends only on the numbers of the steps, [loss, gradient norm, loss scale] as reduced over all ranks.
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
    """The numbers of one step. `step` counts completed steps, this one included; `loss_scale` is the scale after the
    step (fp16).
    """

    step: int
    loss: float
    grad_norm: float
    loss_scale: float | None = None

    @property
    def skipped(self) -> bool:
        """Whether the optimizer changed nothing because the gradients were not finite."""
        return not math.isfinite(self.grad_norm)


DivergenceKind = Literal[
    "nonfinite_loss", "nonfinite_gradients", "loss_scale", "loss_spike", "at_chance", "nonfinite_validation"
]


@dataclass(frozen=True, slots=True)
class DivergenceNotice:
    """A divergence: its kind, its reason in words, its first bad step, and the step at which it was certain."""

    kind: DivergenceKind
    reason: str
    first_bad_step: int
    step: int


@dataclass(slots=True)
class Streak:
    """Consecutive bad steps: their number, and the first of them."""

    length: int = 0
    since: int = 0

    def note(self, bad: bool, step: int) -> None:
        """Counts a bad step, or ends the streak with a good one."""
        if bad and self.length == 0:
            self.since = step
        self.length = self.length + 1 if bad else 0


@dataclass(slots=True)
class Detector:
    """Observes every step in order; the first verdict ends the run. `skipped`, `spikes` and `lowest_scale` are its
    counts.

    `uniform`: the loss of a uniform guess. `total`: the T of the run. Without them there is no verdict `at_chance`.
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
        """Counts one step. Returns a verdict if the run has diverged at this step."""
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
        """Whether no streak of bad steps is open; a streak that is found later then also begins later."""
        return not any(streak.length for streak in self._streaks().values())

    def begin_counts(self) -> None:
        """Sets the counts to zero; streaks and losses stay."""
        self.skipped, self.spikes, self.lowest_scale = 0, 0, None

    def state(self) -> dict[str, Any]:
        """Returns everything that a later attempt needs, as plain numbers."""
        streaks = {name: [streak.length, streak.since] for name, streak in self._streaks().items()}
        return {
            "losses": list(self.losses),
            **streaks,
            "skipped": self.skipped,
            "spikes": self.spikes,
            "lowest_scale": self.lowest_scale,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the result of `state()`."""
        self.losses = deque(state["losses"])
        for name, streak in self._streaks().items():
            streak.length, streak.since = state[name]
        self.skipped, self.spikes, self.lowest_scale = state["skipped"], state["spikes"], state["lowest_scale"]

    def _streaks(self) -> dict[str, Streak]:
        return {"loss": self.loss, "gradients": self.gradients, "spike": self.spike}

    def metrics(self) -> dict[str, float]:
        """Returns the `divergence/*` counts so far."""
        counts = {"divergence/skipped_steps": float(self.skipped), "divergence/loss_spikes": float(self.spikes)}
        return counts if self.lowest_scale is None else {**counts, "divergence/min_loss_scale": self.lowest_scale}
