"""Which steps of a run stand for which others, so that a sum over the run need not look at every step.

Steps that keep alike are one stretch. A run of up to 2^23 cells (steps x layers) is looked at step by step, and sums
over its stretches are exact. In a longer one a stretch also ends where theta has moved by 2^-13, or leaves a straight
line by a grid step of 2^-32; the place in its middle stands for all of it, which is exact for a straight line. Sums
of theta are then right to less than a grid step a step, and a run of ten million steps is tens of thousands of rows.
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
_COARSEST = 64  # parts that every piece of a long run is cut into before theta is looked at
_BEND = 1.0 / STEPS
_CHANGE = 2.0**-13

Rows = tuple[NDArray[np.float64], NDArray[np.uint64]]
"""(places in the run (n,), the number of steps that each stands for (n,)); between two steps a place is a half."""


def stretches(schedule: Schedule, steps: int, stack: LayersAt, begin: int, end: int) -> Iterator[Rows]:
    """The stretches of the steps `begin` .. `end` - 1 of a run of `steps` steps, in order."""
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
    """Neighbouring steps of equal theta are one row; between two bends theta never turns, so equal ends are enough."""
    ends = schedule.theta([first, last - 1], steps)
    if ends[0] == ends[1]:
        return np.array([float(first)]), np.array([last - first], dtype=np.uint64)
    theta = schedule.theta(np.arange(first, last), steps)
    new = np.flatnonzero(np.concatenate(([True], theta[1:] != theta[:-1])))
    return (first + new).astype(np.float64), np.diff(new, append=last - first).astype(np.uint64)


def _long(schedule: Schedule, steps: int, stack: LayersAt, first: int, last: int) -> Rows:
    """A piece between two bends, halved until every part can be read off its middle."""
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
    """Whether what is kept in the middle of a part stands for the whole part."""
    low, half, high = (schedule.theta(at, steps) for at in (first, middle, last))
    straight = (np.abs(low - 2 * half + high) <= _BEND) & (np.abs(high - low) <= _CHANGE)
    if not schedule.draw.whole:
        return np.asarray(straight)
    ends = (schedule.keep_grid(at, steps, stack) for at in (first, last))
    return np.asarray(straight & np.equal(*ends).all(axis=-1))
