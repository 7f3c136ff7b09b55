"""Groups the steps of a run into stretches, so that a sum over the run need not visit every step.

A stretch is a range of consecutive steps with equal keep probabilities. A run of up to 2^23 cells (steps x layers) is
read step by step, and sums over its stretches are exact. In a longer run a stretch also ends where theta has moved by
2^-13, or leaves a straight line by a grid step of 2^-32; its middle then represents all of it, which is exact for a
straight line. So sums of theta have an error below one grid step for each step, and a run of ten million steps is tens
of thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.existing_layers import LayersAt
from pld_search.schedules.keep_grid import STEPS
from pld_search.schedules.schedule import Schedule

EVERY_STEP = 2**23
_CHUNK = 2**16
_COARSEST = 64  # parts into which every piece of a long run is cut before theta is read
_BEND = 1.0 / STEPS
_CHANGE = 2.0**-13

Rows = tuple[NDArray[np.float64], NDArray[np.uint64]]
"""(places in the run (n,), number of steps that each represents (n,)); a place may lie halfway between two steps."""


def stretches(schedule: Schedule, steps: int, stack: LayersAt, begin: int, end: int) -> Iterator[Rows]:
    """Yields the stretches of the steps `begin` .. `end` - 1 of a run of `steps` steps, in order."""
    inside = {at for at in (*schedule.temporal.bends(steps), *stack.begins) if begin < at < end}
    pieces = list(pairwise(sorted({begin, end} | inside)))
    if steps * stack.final > EVERY_STEP:
        yield _joined([_long(schedule, steps, stack, first, last) for first, last in pieces])
        return
    for first, last in pieces:
        for start in range(first, last, _CHUNK):
            yield _short(schedule, steps, start, min(start + _CHUNK, last))


def _joined(rows: list[Rows]) -> Rows:
    return np.concatenate([at for at, _ in rows]), np.concatenate([count for _, count in rows])


def _short(schedule: Schedule, steps: int, first: int, last: int) -> Rows:
    """Returns one row for neighbouring steps of equal theta. Theta is monotone between two bends, so equal ends mean
    equal steps.
    """
    ends = schedule.theta([first, last - 1], steps)
    if ends[0] == ends[1]:
        return np.array([float(first)]), np.array([last - first], dtype=np.uint64)
    theta = schedule.theta(np.arange(first, last), steps)
    new = np.flatnonzero(np.concatenate(([True], theta[1:] != theta[:-1])))
    return (first + new).astype(np.float64), np.diff(new, append=last - first).astype(np.uint64)


def _long(schedule: Schedule, steps: int, stack: LayersAt, first: int, last: int) -> Rows:
    """Halves a piece between two bends until the middle represents every part."""
    edges = np.unique(np.linspace(first, last, _COARSEST + 1).round().astype(np.int64))
    begins, ends = edges[:-1], edges[1:]
    found: list[Rows] = []
    while len(begins):
        middle = (begins + ends - 1) / 2
        fine = _readable(schedule, steps, stack, begins, middle, ends - 1) | (ends - begins == 1)
        found.append((middle[fine], (ends - begins)[fine].astype(np.uint64)))
        begins, ends = begins[~fine], ends[~fine]
        half = (begins + ends) // 2
        begins, ends = np.concatenate((begins, half)), np.concatenate((half, ends))
    at, count = _joined(found)
    order = np.argsort(at)
    return at[order], count[order]


def _readable(
    schedule: Schedule,
    steps: int,
    stack: LayersAt,
    first: NDArray[np.int64],
    middle: NDArray[np.float64],
    last: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Whether the middle of a part represents the whole part."""
    low, half, high = (schedule.theta(at, steps) for at in (first, middle, last))
    straight = (np.abs(low - 2 * half + high) <= _BEND) & (np.abs(high - low) <= _CHANGE)
    if not schedule.draw.whole:
        return np.asarray(straight)
    ends = (schedule.keep_grid(at, steps, stack) for at in (first, last))
    return np.asarray(straight & np.equal(*ends).all(axis=-1))
