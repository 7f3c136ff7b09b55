"""The layers, FLOPs and savings that a run is expected to execute, before its first step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from pld_search.costs.expected_depth import Expected, deviations, expect, kept_grid, variances
from pld_search.costs.flops import AnyFlops, StepFlops, flops_at, run_flops
from pld_search.schedules.existing_layers import Layers
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.growth import Growth, layers_of
from pld_search.specs.pretraining import Pretraining


@dataclass(frozen=True, slots=True)
class Forecast(Expected):
    """`Expected` for one architecture and batch. FLOPs are of the whole run, forward and backward.

    tokens: positions read, steps x sequences x length. block_flops = attention_flops + feed_forward_flops; with
    head_flops and rest_flops they sum to total_flops. step_flops_std: the standard deviation of the FLOPs of one step,
    averaged over the run.
    saved_flops: 1 - total_flops / the same architecture at full depth for the same steps, a share in [0, 1].
    saved_block_flops: the same for blocks only. Where sequences get longer, each step counts with the FLOPs of its own
    length.
    """

    tokens: int
    attention_flops: float
    feed_forward_flops: float
    block_flops: float
    head_flops: float
    rest_flops: float
    total_flops: float
    step_flops_std: float
    saved_flops: float


def forecast(
    schedule: Schedule,
    model: Model,
    data: Data,
    batch: Batch,
    steps: int,
    growth: Growth | None = None,
    pretraining: Pretraining | None = None,
) -> Forecast:
    """Returns the closed-form expectation of a run of `steps` steps. Raises ConfigError when the schedule does not fit
    this number of steps or layers.
    """
    flops, layers = run_flops(model, data, batch, steps, pretraining), layers_of(growth, model.layers, steps)
    expected = expect(schedule, steps, layers, batch.groups)
    ranges = list(flops.ranges(steps))
    kept = [(each, kept_grid(schedule, steps, layers, first, last) / STEPS) for first, last, each in ranges]
    block, full = (
        sum(each.block * ran for each, ran in kept),
        sum(each.block * model.layers * (last - first) for first, last, each in ranges),
    )
    total = expected_flops(schedule, flops, layers, steps)
    return Forecast(
        **{**asdict(expected), "saved_block_flops": 1 - block / full},
        tokens=batch.sequences * data.lengths_at(steps).sum(steps),
        attention_flops=sum(each.attention * ran for each, ran in kept),
        feed_forward_flops=sum(each.feed_forward * ran for each, ran in kept),
        block_flops=block,
        head_flops=float(sum(each.head * (last - first) for first, last, each in ranges)),
        rest_flops=float(sum(each.rest * (last - first) for first, last, each in ranges)),
        total_flops=total,
        step_flops_std=sum(
            _deviation(schedule, each) * deviations(schedule, steps, layers, first, last)
            for first, last, each in ranges
        )
        / (steps * math.sqrt(batch.groups)),
        saved_flops=1 - total / full_depth_flops(flops, model.layers, steps),
    )


def _deviation(schedule: Schedule, flops: StepFlops) -> float:
    """Returns the deviation of a step's FLOPs for each layer by which its plan deviates. Each group runs its own plan
    on its share of the batch.

    Sublayers with separate draws have their own costs. layers_std counts each as half a layer, so one sublayer alone
    deviates by layers_std sqrt(2), and the two add as attention^2 + feed_forward^2.
    """
    return (
        math.sqrt(2 * (flops.attention**2 + flops.feed_forward**2)) if schedule.draw.unit == "sublayer" else flops.block
    )


def executed_std(schedule: Schedule, flops: AnyFlops, layers: Layers, steps: int, groups: int) -> float:
    """Returns the standard deviation of the FLOPs that a run executes, with independent steps. It is an upper bound for
    `exact`, whose steps compensate each other.
    """
    ranges = flops_at(flops).ranges(steps)
    return math.sqrt(
        sum(
            _deviation(schedule, each) ** 2 * variances(schedule, steps, layers, first, last)
            for first, last, each in ranges
        )
        / groups
    )


def expected_flops(schedule: Schedule, flops: AnyFlops, layers: Layers, steps: int) -> float:
    """Returns the expected FLOPs of a run, blocks and the rest. It is an exact integer ratio, rounded once, so that
    equal runs compare equal.
    """
    whole = 0
    for first, last, each in flops_at(flops).ranges(steps):
        whole += each.block * kept_grid(schedule, steps, layers, first, last) + each.fixed * (last - first) * STEPS
    return whole / STEPS


def full_depth_flops(flops: AnyFlops, layers: int, steps: int) -> float:
    """Returns the FLOPs of a run of the same architecture that keeps every layer."""
    return float(
        sum((each.block * layers + each.fixed) * (last - first) for first, last, each in flops_at(flops).ranges(steps))
    )
