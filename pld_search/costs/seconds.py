"""Expected seconds of a run, in closed form, from its schedule and the measured profile of its architecture.

    seconds = T seconds_fixed + (sum of p_l(t)) seconds_per_layer + (sum of touched layers) seconds_update

The two sublayers of a layer are kept with the same p_l, drawn together or separately, so the sum over layers equals the
sum over sublayers. With `skipped: freeze`, layers that no group keeps are not updated. With `decay` and `zero_grad`
every existing layer is updated at every step. These are seconds of pre-training, alone on a slot, without validation,
checkpoints, speed probes and fine-tuning.
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
    """Returns the seconds of pre-training of a run with these expectations."""
    updated = expected.touched_layers_mean if skipped == "freeze" else expected.existing_layers_mean
    step = (
        profile.seconds_fixed
        + profile.seconds_per_layer * expected.expected_layers_mean
        + profile.seconds_update * updated
    )
    return expected.steps * step


def full_depth_seconds(profile: Profile, layers: int, steps: int) -> float:
    """Returns the seconds of pre-training of a run that keeps every layer."""
    return steps * (profile.seconds_fixed + layers * (profile.seconds_per_layer + profile.seconds_update))


def steps_within_seconds(
    seconds: float,
    schedule_for_steps: Callable[[int], Schedule],
    profile: Profile,
    layers: int,
    groups: int,
    growth: Growth | None = None,
) -> int:
    """Returns the largest T whose expected seconds are at most `seconds`. Raises ConfigError as `most_steps` does."""

    def cost(steps: int) -> float:
        schedule = schedule_for_steps(steps)
        return run_seconds(profile, expect(schedule, steps, layers_of(growth, layers, steps), groups), schedule.skipped)

    return most_steps(
        seconds, cost, full=full_depth_seconds(profile, layers, 1), fixed=profile.seconds_fixed, unit="seconds"
    )


def makespan(runs: Iterable[float], slots: int) -> float:
    """Returns the seconds until all `runs` (seconds each, in their start order) have ended. Each run takes the slot
    that is free first.
    """
    free = [0.0] * slots
    for seconds in runs:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
