"""Pivotal sampling in random order: draws a fixed number of layers, each with exactly its own probability.

The layers are put in a random order. The first layer is the holder; each next layer duels with the holder. Let their
probabilities be a and b. If a + b < 1, one of them is dropped and the other becomes the holder with a + b. Otherwise
one of them is kept and the other becomes the holder with a + b - 1. The winner is drawn so that the expectations of
both stay a and b, so every marginal is exact in any order. The probability left at the end is the fractional part of
the sum; the count of the run decides that layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.keep_grid import from_grid

_LANES = 4096
"""The number of rows that are processed at once: their duels fit in the cache of one core."""


def pivotal(
    grid: NDArray[np.uint64], order: NDArray[np.uint32], duels: NDArray[np.uint32], extra: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Draws rows of kept layers: bool (N, L), with floor(sum of a row) layers each, and one more where `extra`.

    grid: probabilities in grid steps (N, L), L at most 65,536. order: words (N, (L + 1) // 2), 16 bits for each layer
    (layers with equal bits keep their order). duels: words (N, L). extra: (N,), False where the sum of a row is whole.
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
    """Returns a permutation of 0 .. layers - 1 for each row, by 16 random bits for each layer: int64 (N, layers)."""
    bits = np.stack((order << np.uint32(16), order & np.uint32(0xFFFF0000)), axis=-1).reshape(len(order), -1)[
        :, :layers
    ]
    keyed = bits | np.arange(layers, dtype=np.uint32)
    keyed.sort(axis=-1)
    return (keyed & np.uint32(0xFFFF)).astype(np.int64)


def _duels(p: NDArray[np.float64], chance: NDArray[np.float64], extra: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Maps p, chance (L, N) to kept (L, N). All sums are of grid steps below 2, so they are exact."""
    layers, rows = p.shape
    kept = np.zeros((layers + 1) * rows, dtype=np.bool_)
    here = np.arange(rows)
    # at first there is no holder: its index is the last row of `kept`, which is cut off at the end
    holder, held = here + layers * rows, np.zeros(rows)
    for b, u in zip(p, chance, strict=True):
        both = held + b
        certain = both >= 1.0
        out_of = 1.0 - np.abs(both - 1.0)  # `both`, or 2 - `both` where certain
        passes = u * out_of < np.where(certain, 1.0 - b, b)  # the new layer becomes the holder, the old one is decided
        kept[np.where(passes, holder, here)] = certain
        np.copyto(holder, here, where=passes)
        held = both - certain
        here += rows
    kept[holder] = extra
    return kept[: layers * rows].reshape(layers, rows)
