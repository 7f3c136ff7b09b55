"""Data order: a keyed permutation of 0 .. n-1 for every epoch, computed at any position without a table.

A Feistel network over the smallest number of bits that covers n (at least two) is a bijection of 0 .. 2^bits - 1.
Repeating it until a value falls below n makes it a bijection of 0 .. n-1 (Black & Rogaway, "Ciphers with arbitrary
finite domains", CT-RSA 2002). The round keys are hash words of (seed, stage, epoch), so the order is a pure function of
them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pld_search.schedules.hash_words import words

_ROUNDS = 8
_LARGEST = 1 << 60


def order(seed: int, epoch: int, positions: ArrayLike, n: int, stage: int = 0) -> NDArray[np.int64]:
    """Returns the indices of `positions` of an epoch in a split of `n` sequences: int64 of the shape of `positions`.

    `positions` are in 0 .. n-1, n in 1 .. 2^60; `stage` is the stage of length, counted from 0. Over all positions
    every index appears exactly once. Raises ValueError outside these ranges.
    """
    asked = np.asarray(positions, dtype=np.int64)
    if not 1 <= n <= _LARGEST:
        raise ValueError(f"a split of {n} sequences has no order")
    if asked.size and (asked.min() < 0 or asked.max() >= n):
        raise ValueError(f"positions of an epoch lie in 0 .. {n - 1}")
    bits = max(2, (n - 1).bit_length())
    keys = words(seed, f"order:{stage}" if stage else "order", epoch, count=_ROUNDS).astype(np.uint64)
    values = _feistel(asked.ravel().astype(np.uint64), bits, keys)
    outside = np.flatnonzero(values >= n)
    while outside.size:
        values[outside] = _feistel(values[outside], bits, keys)
        outside = outside[values[outside] >= n]
    return values.astype(np.int64).reshape(asked.shape)


def _feistel(values: NDArray[np.uint64], bits: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Applies an even number of rounds, so that halves of different width are at their places at the end."""
    widths = np.uint64(bits // 2), np.uint64(bits - bits // 2)
    masks = [(np.uint64(1) << width) - np.uint64(1) for width in widths]
    left, right = values >> widths[1], values & masks[1]
    for number, key in enumerate(keys):
        left, right = right, left ^ (_mixed(right ^ key) & masks[number % 2])
    return left << widths[1] | right


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Applies the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014): every input bit affects every output
    bit.
    """
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return x ^ x >> np.uint64(31)
