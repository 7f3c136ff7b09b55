"""The layers, FLOPs and savings that a run is expected to execute, before its first step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from pld_search.costs.expected_depth import (
    Expected,
    deviations,
    expect,
    kept_grid,
    side_by_side,
    variances,
    variances_at,
)
from pld_search.costs.flops import AnyFlops, FlopsAt, flops_at, run_flops
from pld_search.costs.positions import positions_read
from pld_search.schedules.existing_layers import Layers
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.growth import Growth, layers_of
from pld_search.specs.pretraining import Pretraining


@dataclass(frozen=True, slots=True)
class Forecast(Expected):
    """`Expected` for one architecture and batch. FLOPs are of the whole run, forward and backward.

    tokens: positions read, the sum of sequences x length over the steps. block_flops = attention_flops +
    feed_forward_flops; with head_flops and rest_flops they sum to total_flops. step_flops_std: the standard deviation
    of the FLOPs of one step, averaged over the run.
    saved_flops: 1 - total_flops / the same architecture at full depth for the same steps, a share in [0, 1].
    saved_block_flops: the same for blocks only. Where sequences get longer or batches larger, each step counts with its
    own FLOPs.
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
    total, second = expected_flops(schedule, flops, layers, steps), _second_expected(flops, steps) / STEPS
    return Forecast(
        **{**asdict(expected), "saved_block_flops": 1 - block / full},
        tokens=positions_read(data, batch, steps),
        attention_flops=sum(each.attention * ran for each, ran in kept),
        feed_forward_flops=sum(each.feed_forward * ran for each, ran in kept),
        block_flops=block,
        head_flops=float(sum(each.head * (last - first) for first, last, each in ranges)),
        rest_flops=float(sum(each.rest * (last - first) for first, last, each in ranges)) + second,
        total_flops=total,
        step_flops_std=sum(_step_deviations(schedule, flops, layers, steps)) / (steps * math.sqrt(batch.groups)),
        saved_flops=1 - total / full_depth_flops(flops, model.layers, steps),
    )


def _second_expected(flops: FlopsAt, steps: int) -> int:
    """Returns the exact expected FLOPs of the layers of a second network with a schedule, in units of 1 / STEPS."""
    if flops.second is None:
        return 0
    schedule, layers = flops.second
    return sum(
        sum(each.second) * kept_grid(schedule, steps, layers, first, last) for first, last, each in flops.ranges(steps)
    )


def _step_deviations(schedule: Schedule, flops: FlopsAt, layers: Layers, steps: int) -> Iterator[float]:
    """Yields for each stage the sum over its steps of the standard deviation of the FLOPs of one group. Two networks
    draw independently, so their variances add.
    """
    for first, last, each in flops.ranges(steps):
        own = _deviation(schedule, (each.attention, each.feed_forward))
        if flops.second is None:
            yield own * deviations(schedule, steps, layers, first, last)
            continue
        other = _deviation(flops.second.schedule, each.second)
        variances_of = (
            variances_at(schedule, steps, layers, first, last),
            variances_at(flops.second.schedule, steps, flops.second.layers, first, last),
        )
        yield sum(math.sqrt(own**2 * one + other**2 * two) * count for one, two, count in side_by_side(*variances_of))


def _deviation(schedule: Schedule, flops: tuple[int, int]) -> float:
    """Returns the deviation of a step's FLOPs for each layer by which its plan deviates. `flops` are those of one
    layer, (attention, feed_forward). Each group runs its own plan on its share of the batch.

    Sublayers with separate draws have their own costs. layers_std counts each as half a layer, so one sublayer alone
    deviates by layers_std sqrt(2), and the two add as attention^2 + feed_forward^2.
    """
    attention, feed_forward = flops
    halves = schedule.draw.unit == "sublayer"
    return math.sqrt(2 * (attention**2 + feed_forward**2)) if halves else attention + feed_forward


def executed_std(schedule: Schedule, flops: AnyFlops, layers: Layers, steps: int, groups: int) -> float:
    """Returns the standard deviation of the FLOPs that a run executes, with independent steps. It is an upper bound for
    `exact`, whose steps compensate each other.
    """
    of_steps = flops_at(flops)
    whole = 0.0
    for first, last, each in of_steps.ranges(steps):
        own = _deviation(schedule, (each.attention, each.feed_forward))
        whole += own**2 * variances(schedule, steps, layers, first, last)
        if of_steps.second is not None:
            other, size = of_steps.second
            whole += _deviation(other, each.second) ** 2 * variances(other, steps, size, first, last)
    return math.sqrt(whole / groups)


def expected_flops(schedule: Schedule, flops: AnyFlops, layers: Layers, steps: int) -> float:
    """Returns the expected FLOPs of a run, blocks and the rest. It is an exact integer ratio, rounded once, so that
    equal runs compare equal.
    """
    of_steps = flops_at(flops)
    whole = _second_expected(of_steps, steps)
    for first, last, each in of_steps.ranges(steps):
        whole += each.block * kept_grid(schedule, steps, layers, first, last) + each.fixed * (last - first) * STEPS
    return whole / STEPS


def full_depth_flops(flops: AnyFlops, layers: int, steps: int) -> float:
    """Returns the FLOPs of a run of the same architecture that keeps every layer."""
    of_steps = flops_at(flops)
    return float(
        sum(
            (each.block * layers + each.fixed + of_steps.second_at_full_depth(each)) * (last - first)
            for first, last, each in of_steps.ranges(steps)
        )
    )
