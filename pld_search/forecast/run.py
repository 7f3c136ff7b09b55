"""What a run is expected to execute: layers, FLOPs and savings, before the first step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from pld_search.forecast.expect import Expected, expect, kept_grid
from pld_search.forecast.flops import StepFlops, step_flops
from pld_search.schedules.grid import STEPS
from pld_search.schedules.layers import Layers
from pld_search.schedules.schedule import Schedule
from pld_search.specs.experiment import Batch, Data, Model
from pld_search.specs.growth import Growth, layers_of


@dataclass(frozen=True, slots=True)
class Forecast(Expected):
    """`Expected`, and what it means for one architecture and batch. FLOPs are of the whole run, forward and backward.

    tokens: positions read, steps x sequences x length. block_flops = attention_flops + feed_forward_flops; with head_flops and
    rest_flops they are total_flops. step_flops_std: standard deviation of the FLOPs of one step, averaged over the run.
    saved_flops: 1 - total_flops / the same architecture at full depth for the same steps, a share in [0, 1].
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


def forecast(schedule: Schedule, model: Model, data: Data, batch: Batch, steps: int, growth: Growth | None = None) -> Forecast:
    """The closed-form expectation of a run of `steps` steps. Raises ConfigError when the schedule is for another number."""
    flops, layers = step_flops(model, data, batch), layers_of(growth, model.layers, steps)
    expected = expect(schedule, steps, layers, batch.groups)
    total = expected_flops(schedule, flops, layers, steps)
    return Forecast(
        **asdict(expected),
        tokens=steps * batch.sequences * data.length,
        attention_flops=flops.attention * expected.expected_layers_mean * steps,
        feed_forward_flops=flops.feed_forward * expected.expected_layers_mean * steps,
        block_flops=flops.block * expected.expected_layers_mean * steps,
        head_flops=float(flops.head * steps),
        rest_flops=float(flops.rest * steps),
        total_flops=total,
        step_flops_std=_step_std(schedule, flops, expected),
        saved_flops=1 - total / full_depth_flops(flops, model.layers, steps),
    )


def _step_std(schedule: Schedule, flops: StepFlops, expected: Expected) -> float:
    """Standard deviation of a step's FLOPs: each of the groups runs its own plan on its share of the batch.

    Halves drawn apart have their own costs: layers_std counts them as halves of a layer, so one half alone deviates by
    layers_std sqrt(2), and the two add as attention^2 + feed_forward^2.
    """
    weight = math.sqrt(2 * (flops.attention**2 + flops.feed_forward**2)) if schedule.draw.unit == "sublayer" else flops.block
    return weight * expected.layers_std / math.sqrt(expected.groups)


def expected_flops(schedule: Schedule, flops: StepFlops, layers: Layers, steps: int) -> float:
    """Expected FLOPs of a run, blocks and the rest: an exact integer ratio, rounded once, so that equal runs compare equal."""
    return (flops.block * kept_grid(schedule, steps, layers) + flops.fixed * steps * STEPS) / STEPS


def full_depth_flops(flops: StepFlops, layers: int, steps: int) -> float:
    """FLOPs of a run of the same architecture that keeps every layer."""
    return float((flops.block * layers + flops.fixed) * steps)
