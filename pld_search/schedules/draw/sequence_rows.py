"""Draws per sequence: the rows of a group that pass through each layer, the same number in every stratum.

A stratum is `strata` = n consecutive sequences of a group. At one step layer l keeps m_l of the n rows of every
stratum. One draw for the whole group makes m_l the floor or the ceiling of p_l n; the hash words of a stratum choose
its m_l rows. So each row is kept with p_l, and every micro-batch and rank that holds whole strata runs the same number
of rows through every layer, at least one (p_l n >= 1 is required). No rank waits for another, and none leaves a layer
out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pld_search.schedules.draw.family import Sample, as_bool

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def rows_of_strata(sample: Sample, strata: int) -> NDArray[np.uint64]:
    """Returns m_l, the rows that layer l keeps in every stratum: (S, groups, L), in 1 .. strata for p_l strata >= 1."""
    wanted = sample.grid * np.uint64(strata)
    extra = sample.words("", sample.grid.shape[-1]) < (wanted & _LOW)[:, None, :]
    return (wanted >> _HALF)[:, None, :] + extra.astype(np.uint64)


def kept_rows(sample: Sample, strata: int, sequences: int) -> NDArray[np.bool_]:
    """Returns which of a group's `sequences` rows (a multiple of `strata`) pass through each layer: bool (S, groups, L,
    sequences).
    """
    layers, shape = (
        sample.grid.shape[-1],
        (len(sample.steps), sample.groups, sample.grid.shape[-1], sequences // strata, strata),
    )
    drawn = sample.words(":rows", layers * sequences).reshape(shape).astype(np.uint64) << _HALF
    keyed = drawn | np.arange(strata, dtype=np.uint64)  # equal words keep their order
    count = rows_of_strata(sample, strata).astype(np.int64)[..., None, None]
    last = np.take_along_axis(
        np.sort(keyed, axis=-1), np.broadcast_to(np.maximum(count - 1, 0), (*shape[:-1], 1)), axis=-1
    )
    return as_bool((keyed <= last) & (count > 0)).reshape(*shape[:3], sequences)
