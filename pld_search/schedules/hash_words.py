"""Integer hash words: the only source of randomness for plans, masks, data order and seeds.

Philox-4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), written in plain 64-bit integer
arithmetic. A word is a pure function of (seed, purpose, a, b, c): it is equal on every rank, device, process and numpy
version, and can be read at any position without drawing the words before it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Returns Philox-4x32-10 of counters (..., 4) under one key: four 32-bit words a counter, as uint64 (..., 4)."""
    lanes = [counter[..., i].copy() for i in range(4)]
    _rounds(lanes, key)
    return np.stack(lanes, axis=-1)


def _rounds(lanes: list[NDArray[np.uint64]], key: tuple[int, int]) -> None:
    """Applies the ten rounds in place to four lanes of one shape. A plan of a million steps spends most time here."""
    x0, x1, x2, x3 = lanes
    left, right = np.empty_like(x0), np.empty_like(x0)
    k0, k1 = key
    for _ in range(_ROUNDS):
        np.multiply(x0, _MULTIPLIERS[0], out=left)
        np.multiply(x2, _MULTIPLIERS[1], out=right)
        for high, other, low, product, k in ((x0, x1, x1, right, k0), (x2, x3, x3, left, k1)):
            np.right_shift(product, _HALF, out=high)
            np.bitwise_xor(high, other, out=high)
            np.bitwise_xor(high, np.uint64(k), out=high)
            np.bitwise_and(product, _LOW, out=low)
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF


def key_of(seed: int, purpose: str) -> tuple[int, int]:
    """Returns the Philox key of (seed, purpose): the first eight bytes of SHA-256 over both."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def words(seed: int, purpose: str, a: ArrayLike, b: ArrayLike = 0, *, count: int) -> NDArray[np.uint32]:
    """Returns `count` words for every (a, b): shape broadcast(a, b).shape + (count,), each uniform over 0 .. 2^32 - 1.

    `a` is below 2^64 (a step, an epoch, a sequence number), `b` below 2^32 (a group). Raises ValueError for a negative
    number and for a `b` of 2^32 or more.
    """
    if np.min(a, initial=0) < 0 or np.min(b, initial=0) < 0 or np.max(b, initial=0) > _LOW:
        raise ValueError("a counter is not negative, and the second one is below 2^32")
    first, second = np.broadcast_arrays(np.asarray(a, dtype=np.uint64), np.asarray(b, dtype=np.uint64))
    blocks = -(-count // 4)
    counter = np.empty((*first.shape, blocks, 4), dtype=np.uint64)
    counter[..., 0] = np.arange(blocks, dtype=np.uint64)
    counter[..., 1] = (first & _LOW)[..., None]
    counter[..., 2] = (first >> _HALF)[..., None]
    counter[..., 3] = second[..., None]
    drawn = philox(counter, key_of(seed, purpose)).reshape(*first.shape, blocks * 4)
    return drawn[..., :count].astype(np.uint32)


def seed_word(seed: int, purpose: str, a: int = 0, b: int = 0) -> int:
    """Returns one 63-bit seed for a generator that needs one (torch's), keyed like every other word."""
    low, high = (int(word) for word in words(seed, purpose, a, b, count=2))
    return (high << 32 | low) >> 1
