"""The layers that a schedule is expected to keep over a run: sums of keep probabilities over all steps and layers.

Keep probabilities are whole numbers of grid steps (schedules/keep_grid.py), so their sums are exact integers. Two
schedules can be compared, and a number can be solved, without a rounding error that grows with the run. Very long runs
are sampled (costs/stretches.py): their sums are whole numbers too, and the keep rate is right to a grid step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pld_search.costs.stretches import stretches
from pld_search.errors import ConfigError, Problem
from pld_search.schedules.draw import Draw
from pld_search.schedules.existing_layers import Layers, LayersAt, layers_at
from pld_search.schedules.keep_grid import STEPS, from_grid
from pld_search.schedules.schedule import Schedule

_CHUNK_CELLS = 2**17
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Expected:
    """Expectations over a run of `steps` steps (t = 0 .. steps - 1) with `layers` layers and `groups` groups a step.

    Where layers grow, `layers` is their number at the end, and a layer that does not exist yet counts as saved.

    Layers are counted for each plan (one group, one step), 0 .. layers; `_mean` is over the run, `_end` is at u = 1. A
    layer with one kept sublayer counts half. A layer that runs for some sequences of a group counts their share.
    existing_layers_mean: the layers that exist; `layers` unless they grow.
    touched_layers_mean: the layers that at least one group of a step runs at least in part, 0 .. layers. These layers
    are updated, and ranks exchange their gradients.
    layers_std: the standard deviation of the layers kept in one plan, averaged over the run.
    saved_block_flops: 1 - expected_layers_mean / layers, a share in [0, 1].
    """

    steps: int
    layers: int
    groups: int
    keep_probabilities_mean: tuple[float, ...]
    keep_probabilities_end: tuple[float, ...]
    expected_layers_mean: float
    expected_layers_end: float
    existing_layers_mean: float
    touched_layers_mean: float
    layers_std: float
    saved_block_flops: float


def expect(schedule: Schedule, steps: int, layers: Layers, groups: int = 1) -> Expected:
    """Returns the expectations of `schedule`, for a fixed or a growing number of layers.

    Raises ConfigError when the schedule does not fit this number of steps or layers.
    """
    refuse_misfits(schedule, steps, layers)
    stack = layers_at(layers)
    kept, touched, deviation = [0] * stack.final, 0.0, 0.0
    for grid, count in _probabilities(schedule, steps, stack):
        kept = [total + int(part) for total, part in zip(kept, (grid * count[:, None]).sum(axis=0), strict=True)]
        p = from_grid(grid)
        touched += float((_touched(schedule.draw, p, groups).sum(axis=-1) * count).sum())
        deviation += float((np.sqrt(layers_variance(schedule.draw, p)) * count).sum())
    end = schedule.keep_probabilities(steps, steps, layers)
    mean = sum(kept) / (STEPS * steps)
    return Expected(
        steps=steps,
        layers=stack.final,
        groups=groups,
        keep_probabilities_mean=tuple(total / (STEPS * steps) for total in kept),
        keep_probabilities_end=tuple(end.tolist()),
        expected_layers_mean=mean,
        expected_layers_end=float(end.sum()),
        existing_layers_mean=stack.mean(steps),
        touched_layers_mean=touched / steps,
        layers_std=deviation / steps,
        saved_block_flops=1 - mean / stack.final,
    )


def layers_variance(draw: Draw, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the variance of the layers kept in one plan: p (..., layers) -> (...,).

    For a draw per group it is the draw's own variance. In a draw per sequence, a layer keeps the floor or the ceiling
    of p n rows in every stratum of n, by one draw for all strata. Two independent sublayers of equal weight have half
    the variance of one whole layer.
    """
    if draw.strata is None:
        whole = draw.variance(p)
    else:
        part = (p * draw.strata) % 1.0
        whole = (part * (1 - part)).sum(axis=-1) / draw.strata**2
    return np.asarray(whole / 2 if draw.unit == "sublayer" else whole)


def _touched(draw: Draw, p: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Returns the probability that some group of a step runs a part of the layer: p (..., layers) -> (..., layers)."""
    if draw.per == "sequence":
        return np.asarray(p > 0, dtype=np.float64)  # at least one row of every stratum
    return np.asarray(1 - (1 - p) ** (groups * (2 if draw.unit == "sublayer" else 1)))


def refuse_misfits(schedule: Schedule, steps: int, layers: Layers) -> None:
    """Raises ConfigError with every reason why `schedule` does not fit such a run."""
    reasons = schedule.misfits(steps, layers)
    if reasons:
        raise ConfigError([Problem(reason.why, path=reason.path) for reason in reasons])


def kept_grid(schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None) -> int:
    """Returns the exact sum of p_l(t), in grid steps of 2^-32, over the layers and the steps `first` .. `last` - 1 of a
    run of `steps` steps (all of them by default).
    """
    return sum(
        int((grid.sum(axis=-1) * count).sum())
        for grid, count in _probabilities(schedule, steps, layers_at(layers), first, last)
    )


def kept_at(
    schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Yields the steps `first` .. `last` - 1 as stretches with equal keep probabilities, in order, in chunks: (sum over
    layers of p in grid steps (n,), number of steps (n,)).
    """
    for grid, count in _probabilities(schedule, steps, layers_at(layers), first, last):
        yield grid.sum(axis=-1), count


def deviations(schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None) -> float:
    """Returns the standard deviation of the layers kept in one plan, summed over the steps `first` .. `last` - 1."""
    return sum(
        float((np.sqrt(variance) * count).sum()) for variance, count in _variances(schedule, steps, layers, first, last)
    )


def variances(schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None) -> float:
    """Returns the variance of the layers kept in one plan, summed over the steps `first` .. `last` - 1."""
    return sum(float((variance * count).sum()) for variance, count in _variances(schedule, steps, layers, first, last))


def variances_at(
    schedule: Schedule, steps: int, layers: Layers, first: int = 0, last: int | None = None
) -> Iterator[tuple[float, int]]:
    """Yields (variance of the layers kept in one plan, number of steps) for stretches of the steps `first` .. `last` -
    1 with equal keep probabilities, in order.
    """
    for variance, count in _variances(schedule, steps, layers, first, last):
        yield from zip(variance.tolist(), count.tolist(), strict=True)


def side_by_side(
    one: Iterable[tuple[Value, int]], other: Iterable[tuple[Value, int]]
) -> Iterator[tuple[Value, Value, int]]:
    """Joins two sequences of (value, number of steps) over the same steps. Yields (value of the first, value of the
    second, number of steps).

    >>> list(side_by_side([("a", 3), ("b", 1)], [("c", 2), ("d", 2)]))
    [('a', 'c', 2), ('a', 'd', 1), ('b', 'd', 1)]
    """
    rows, value, left = iter(other), None, 0
    for mine, count in one:
        while count:
            if not left:
                value, left = next(rows)
            taken = min(count, left)
            yield mine, value, taken  # type: ignore[misc]  # set before the first use
            count, left = count - taken, left - taken


def _variances(
    schedule: Schedule, steps: int, layers: Layers, first: int, last: int | None
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint64]]]:
    for grid, count in _probabilities(schedule, steps, layers_at(layers), first, last):
        yield layers_variance(schedule.draw, from_grid(grid)), count


def _probabilities(
    schedule: Schedule, steps: int, stack: LayersAt, begin: int = 0, end: int | None = None
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Yields chunks of (keep probabilities in grid steps (n, layers), number of steps with them (n,)), for the steps
    `begin` .. `end` - 1.
    """
    length = max(1, _CHUNK_CELLS // stack.final)
    for at, count in stretches(schedule, steps, stack, begin, steps if end is None else end):
        for start in range(0, len(at), length):
            part = slice(start, start + length)
            yield schedule.keep_grid(at[part], steps, stack), count[part]
