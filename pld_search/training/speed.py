"""The speed of a run, alone and relative to full depth of the same architecture timed in the same run.

`speed/relative` is own tokens a second over full-depth tokens a second, that is (full-depth step) / (own step). At a
few evenly spaced steps a full-depth forward and backward on the step's own batch is timed, and its gradients are
discarded (a probe). The probe is compared with the own steps just before it: a machine shared with other work drifts,
so only steps near each other are comparable. The rest of a step (clipping, optimizer, logging) is measured on own steps
and added equally to both:

    relative = sum over probes of (full forward and backward + rest) / sum over probes of (own forward and backward +
    rest)

With five or more probes, the probes with the largest and the smallest ratio are left out, so that one disturbance of
the machine does not count. The quartiles of the probes' ratios are recorded too. The probes are spread over the run, so
the speed of a schedule whose depth changes is an average. All of these numbers are timing; none is a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean, median, quantiles
from typing import Any

_NEIGHBOURS = 16  # own steps that a probe is compared with
_ENOUGH_TO_TRIM = 5
_SUMS = ("seconds", "steps", "tokens", "reported_seconds", "reported_steps", "reported_tokens")


@dataclass(slots=True)
class Speed:
    """Training seconds (without validation, checkpoints and probes) over all attempts, and the data for `speed/*`."""

    seconds: float = 0.0
    steps: int = 0
    tokens: int = 0
    reported_seconds: float = 0.0
    reported_steps: int = 0
    reported_tokens: int = 0
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_NEIGHBOURS))
    probes: list[tuple[float, float]] = field(default_factory=list)

    def step(self, forward_backward: float, whole: float, tokens: int) -> None:
        """Counts one own step over `tokens` positions; `whole` lasts from the end of the step before to its own end."""
        self.seconds += whole
        self.steps += 1
        self.tokens += tokens
        self.recent.append((forward_backward, whole - forward_backward))

    def other_steps(self) -> None:
        """Marks a change of the steps' length: a probe is not compared with steps before the change."""
        self.recent.clear()

    def probe(self, seconds: float) -> None:
        """Counts a probe: the seconds of a full-depth forward and backward. Ignored before the first own step."""
        if self.recent:
            rest = median(rest for _, rest in self.recent)
            self.probes.append((seconds + rest, fmean(own for own, _ in self.recent) + rest))

    def relative(self) -> float | None:
        """Returns `speed/relative` (see the module); None before the first probe."""
        if not self.probes:
            return None
        pairs = sorted(self.probes, key=lambda pair: pair[0] / pair[1])
        if len(pairs) >= _ENOUGH_TO_TRIM:
            pairs = pairs[1:-1]
        return sum(full for full, _ in pairs) / sum(own for _, own in pairs)

    def interval(self) -> dict[str, float]:
        """Returns the timing of a progress event, over the steps since the last one. Begins the next interval."""
        seconds, steps, tokens = (
            self.seconds - self.reported_seconds,
            self.steps - self.reported_steps,
            self.tokens - self.reported_tokens,
        )
        self.reported_seconds, self.reported_steps, self.reported_tokens = self.seconds, self.steps, self.tokens
        return {**_rates(seconds, steps, tokens), "progress/seconds": self.seconds}

    def overall(self) -> dict[str, float]:
        """Returns the timing of the whole run."""
        relative = self.relative()
        numbers = {**_rates(self.seconds, self.steps, self.tokens), "progress/seconds": self.seconds}
        if relative is None:
            return numbers
        ratios = [full / own for full, own in self.probes]
        low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return {**numbers, "speed/relative": relative, "speed/relative_q1": low, "speed/relative_q3": high}

    def state(self) -> dict[str, Any]:
        """Returns the speed's part of a checkpoint, as plain values; times are in seconds."""
        plain = {name: getattr(self, name) for name in _SUMS}
        return {**plain, "recent": [list(pair) for pair in self.recent], "probes": [list(pair) for pair in self.probes]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continues from the state of a checkpoint."""
        for name in _SUMS:
            setattr(self, name, state[name])
        self.recent = deque(((own, rest) for own, rest in state["recent"]), maxlen=_NEIGHBOURS)
        self.probes = [(full, own) for full, own in state["probes"]]


def _rates(seconds: float, steps: int, tokens: int) -> dict[str, float]:
    if not steps or seconds <= 0:
        return {}
    return {"speed/tokens_per_second": tokens / seconds, "speed/step_ms": 1000 * seconds / steps}
