"""The pivotal draw in random order: a fixed number of layers, each with exactly its own probability.

Layers stand in a row in random order. The first holds the floor; each next one duels with the holder. With
probabilities a and b: if a + b < 1, one of them leaves with 0 and the other holds a + b; else one of them is kept for
certain and the other
holds a + b - 1. Who it is is drawn so that a and b stay what they were on average, so every marginal is exact, in any
order.
What is left at the end is the fraction of the sum; the count of the run decides it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.keep_grid import from_grid

_LANES = 4096
"""Rows handled at once: what a duel touches stays in the cache of a core."""


def pivotal(
    grid: NDArray[np.uint64], order: NDArray[np.uint32], duels: NDArray[np.uint32], extra: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Rows of layers kept: bool (N, L), with floor(sum of a row) layers, one more where `extra`.

    grid: probabilities in grid steps (N, L), L at most 65,536. order: words (N, (L + 1) // 2), 16 bits a layer (layers
    of equal bits stand in their own order). duels: words (N, L). extra: (N,), False where the sum of a row is whole.
    """
    kept = np.empty(grid.shape, dtype=np.bool_)
    for start in range(0, len(grid), _LANES):
        part = slice(start, start + _LANES)
        row = _random_row(order[part], grid.shape[1])
        p = np.ascontiguousarray(np.take_along_axis(from_grid(grid[part]), row, axis=-1).T)
        outcome = _duels(p, from_grid(np.ascontiguousarray(duels[part].T)), extra[part])
        np.put_along_axis(kept[part], row, outcome.T, axis=-1)
    return kept


def _random_row(order: NDArray[np.uint32], layers: int) -> NDArray[np.int64]:
    """A permutation of 0 .. layers - 1 a row, by 16 random bits each: int64 (N, layers)."""
    bits = np.stack((order << np.uint32(16), order & np.uint32(0xFFFF0000)), axis=-1).reshape(len(order), -1)[
        :, :layers
    ]
    keyed = bits | np.arange(layers, dtype=np.uint32)
    keyed.sort(axis=-1)
    return (keyed & np.uint32(0xFFFF)).astype(np.int64)


def _duels(p: NDArray[np.float64], chance: NDArray[np.float64], extra: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """p, chance (L, N) -> kept (L, N). All sums are of grid steps below 2, so they are exact."""
    layers, rows = p.shape
    kept = np.zeros((layers + 1) * rows, dtype=np.bool_)
    here = np.arange(rows)
    # nobody holds nothing: the last row of `kept`, which is cut off
    holder, held = here + layers * rows, np.zeros(rows)
    for b, u in zip(p, chance, strict=True):
        both = held + b
        certain = both >= 1.0
        out_of = 1.0 - np.abs(both - 1.0)  # both, or 2 - both where certain
        passes = u * out_of < np.where(certain, 1.0 - b, b)  # the newcomer holds on, the holder is decided
        kept[np.where(passes, holder, here)] = certain
        np.copyto(holder, here, where=passes)
        held = both - certain
        here += rows
    kept[holder] = extra
    return kept[: layers * rows].reshape(layers, rows)
