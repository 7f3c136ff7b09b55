"""Running sums over the steps of a run, readable at any step: the counter of exact draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096
_LOW = np.uint64(0xFFFFFFFF)


class RunningTotal:
    """The sum of S_s over s < t, in grid steps modulo 2^32, for any t of a run of `total` steps.

    Only the sum at the start of every chunk is kept (one number for 4096 steps). A step far ahead is reached by summing
    the chunks before it once. `sums(steps)` gives S_t in grid steps: uint64 of the steps' shape. Modulo 2^32 is enough:
    the count of a step needs only the fractional part of the sum before it.
    """

    def __init__(self, sums: Callable[[NDArray[np.int64]], NDArray[np.uint64]], total: int) -> None:
        self._sums, self._total = sums, total
        self._starts = [0]
        self._last: tuple[int, NDArray[np.uint64]] | None = None
        self._next = 0, np.uint64(0)  # the step after the steps of the last call, and the sum before it

    def before(self, steps: NDArray[np.int64], sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Returns the running sum before each of `steps` (S,), whose S_t are `sums` (S,): uint64 (S,), below 2^32.

        Steps that continue where the last call ended cost only a cumulative sum.
        """
        if not len(steps):
            return np.zeros(0, dtype=np.uint64)
        in_a_row = bool((np.diff(steps) == 1).all())
        if in_a_row and int(steps[0]) == self._next[0]:
            before = (np.cumsum(sums) - sums + self._next[1]) & _LOW
        else:
            before = self._before_steps(steps)
        if in_a_row:
            self._next = int(steps[-1]) + 1, (before[-1] + sums[-1]) & _LOW
        return np.asarray(before)

    def _before_steps(self, steps: NDArray[np.int64]) -> NDArray[np.uint64]:
        chunks = steps // _CHUNK
        before = np.empty(steps.shape, dtype=np.uint64)
        for chunk in np.unique(chunks).tolist():
            inside = chunks == chunk
            before[inside] = self._within(chunk)[steps[inside] - chunk * _CHUNK]
        return before

    def _within(self, chunk: int) -> NDArray[np.uint64]:
        """Returns the running sums before the steps of one chunk, and stores the sums of the chunks before it."""
        for passed in range(len(self._starts) - 1, chunk):
            self._sum(passed)
        if self._last is None or self._last[0] != chunk:
            self._sum(chunk)
        assert self._last is not None
        return self._last[1]

    def _sum(self, chunk: int) -> None:
        steps = np.arange(chunk * _CHUNK, min((chunk + 1) * _CHUNK, self._total))
        ends = np.cumsum(self._sums(steps)) + np.uint64(self._starts[chunk])  # wraps modulo 2^64, a multiple of 2^32
        low = np.concatenate((np.array([self._starts[chunk]], dtype=np.uint64), ends)) & _LOW
        self._last = chunk, low[:-1]
        if chunk == len(self._starts) - 1:
            self._starts.append(int(low[-1]))
