"""Exact sign-flip test of blocked differences, with one p value for each row that holds for all rows.

If a row does not differ from the reference, its difference at a seed is as likely as the same number with the other
sign (Fisher 1935, The Design of Experiments, section 21). A flip changes the signs of all rows of a seed together,
which preserves their dependence. The largest statistic over rows, for each of the 2^n flips, gives p values that hold
for all rows at once (Westfall and Young 1993, Resampling-Based Multiple Testing). The statistic of a row is

    |sum_j d_j| / sqrt(sum_j d_j^2),

which grows with Student's t of its differences d and does not depend on the row's spread. No normal distribution is
assumed. The smallest p is 2 / 2^n: below six seeds it cannot fall under 5 %, so there is no test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.blocked import Values, common_seeds, table

LEAST_SEEDS = 6
_MOST_SEEDS = 16
_TIES = 1e-9  # statistics with a smaller difference are the same sum in another order; exact values are at most sqrt(n)


def sign_flip_p(values: Values, rows: Sequence[str], reference: str) -> dict[str, float] | None:
    """Returns p of each row against the reference over their common seeds, adjusted for all `rows`; None below six
    seeds.

    With more than 16 seeds, the 16 lowest are used (2^16 flips). Raises ValueError for values that are not finite.
    """
    seeds = common_seeds(values, [reference, *rows])[:_MOST_SEEDS]
    if len(seeds) < LEAST_SEEDS:
        return None
    numbers = table(values, [reference, *rows], seeds)
    return dict(zip(rows, map(float, flipped(numbers[1:] - numbers[0])), strict=True))


def flipped(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the adjusted p of each row of `differences` (rows x seeds), from all 2^seeds flips; 1 for a row of
    zeros.
    """
    norms = np.sqrt((differences**2).sum(1))
    scaled = differences / np.where(norms > 0, norms, 1.0)[:, None]
    count = differences.shape[1]
    # a flip and its opposite give the same statistic, so the first seed's sign is fixed
    signs = 1.0 - 2.0 * ((np.arange(2 ** (count - 1))[:, None] >> np.arange(count)) & 1)
    largest = np.abs(signs @ scaled.T).max(1)
    observed = np.abs(scaled.sum(1))
    p: NDArray[np.float64] = (largest[:, None] >= observed - _TIES).mean(0)
    return p
