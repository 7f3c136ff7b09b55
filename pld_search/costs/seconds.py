"""Expected seconds of a run, from its schedule and the measured profile of its architecture, in closed form.

    seconds = T seconds_fixed + (sum of p_l(t)) seconds_per_layer + (sum of touched layers) seconds_update

The two halves of a layer are kept with the same p_l, whether drawn together or apart, so that the sum over layers is
that of the halves. What no group keeps is not updated with `skipped: freeze`; with `decay` and `zero_grad` every layer
that exists is at every step.
These are seconds of pre-training, alone on a slot: validation, checkpoints, speed probes and fine-tuning are not in
them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from pld_search.costs.budget import most_steps
from pld_search.costs.expected_depth import Expected, expect
from pld_search.costs.profile import Profile
from pld_search.schedules.conventions import Skipped
from pld_search.schedules.schedule import Schedule
from pld_search.specs.growth import Growth, layers_of


def run_seconds(profile: Profile, expected: Expected, skipped: Skipped) -> float:
    """Seconds of pre-training of a run with these expectations."""
    updated = expected.touched_layers_mean if skipped == "freeze" else expected.existing_layers_mean
    step = (
        profile.seconds_fixed
        + profile.seconds_per_layer * expected.expected_layers_mean
        + profile.seconds_update * updated
    )
    return expected.steps * step


def full_depth_seconds(profile: Profile, layers: int, steps: int) -> float:
    """Seconds of pre-training of a run that keeps every layer."""
    return steps * (profile.seconds_fixed + layers * (profile.seconds_per_layer + profile.seconds_update))


def steps_within_seconds(
    seconds: float,
    schedule_for_steps: Callable[[int], Schedule],
    profile: Profile,
    layers: int,
    groups: int,
    growth: Growth | None = None,
) -> int:
    """The largest T whose expected seconds are not above `seconds`. Raises ConfigError as `most_steps` does."""

    def cost(steps: int) -> float:
        schedule = schedule_for_steps(steps)
        return run_seconds(profile, expect(schedule, steps, layers_of(growth, layers, steps), groups), schedule.skipped)

    return most_steps(
        seconds, cost, full=full_depth_seconds(profile, layers, 1), fixed=profile.seconds_fixed, unit="seconds"
    )


def makespan(runs: Iterable[float], slots: int) -> float:
    """Seconds until all `runs` (seconds each, in the order they are started) have ended, each in the slot that is free
    first.
    """
    free = [0.0] * slots
    for seconds in runs:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
