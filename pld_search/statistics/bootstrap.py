"""Text as a source of noise: the variance of a difference over documents, and intervals over seeds and documents.

A loss is a ratio: the sum of the losses of all predictions over their number. It is stored for each block of
consecutive documents as `sums[row, seed, block]` and `counts[block]` (the masked positions are the same for every row
and seed, so the counts are too). The difference of two rows is sum_b D_b / sum_b C_b, with D the difference of the sums
(mean over seeds) and C the counts.

`document_variance` linearises the ratio (Cochran 1977, Sampling Techniques, section 6.3): with e_b = D_b - d C_b,

    var(d) = B / (B - 1) sum_b e_b^2 / (sum_b C_b)^2.

`bootstrap` draws blocks with replacement (Efron 1979). It weighs the few seeds by multipliers and does not draw them
(Wu 1986, Jackknife, bootstrap and other resampling methods in regression analysis, Ann. Stat. 14): three seeds drawn
with replacement have only ten different means, and their spread is a third too small. One multiplier of a seed serves
all rows; a draw is

    d* = d*(blocks) + sqrt(1 / (n (n - 1))) g sum_s z_s (d_s - d),    z_s normal, g^2 = (n - 1) / chi^2_{n-1},

so that without noise over documents the interval equals the interval of the paired t test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pld_search.statistics.blocked import Variance

LEAST_DOCUMENTS = 30
DRAWS = 4000


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """A row's difference to the reference, and the interval of this row alone (not simultaneous)."""

    difference: float
    low: float
    high: float


def document_variance(
    sums: NDArray[np.float64], counts: NDArray[np.int64], reference: int, documents: int | None = None
) -> list[Variance | None]:
    """Returns the variance of each row's difference to row `reference` over documents, in the order of `sums`; zero for
    the reference.

    `sums` is rows x seeds x blocks, `counts` has one number for each block, and `documents` is the number of documents
    in all blocks (default: the number of blocks). Every row has None under 30 documents, which are too few to represent
    other text. Raises ValueError for shapes that do not fit, values that are not finite and counts whose sum is not
    positive.
    """
    _refuse(sums, counts)
    blocks = len(counts)
    if _too_few(blocks, documents):
        return [None] * len(sums)
    differences = (sums - sums[reference]).mean(1)
    total = counts.sum()
    errors = differences - (differences.sum(1) / total)[:, None] * counts
    variances = blocks / (blocks - 1) * (errors**2).sum(1) / total**2
    return [Variance(float(variance), blocks - 1) for variance in variances]


def bootstrap(
    sums: NDArray[np.float64],
    counts: NDArray[np.int64],
    reference: int,
    *,
    documents: int | None = None,
    confidence: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[BootstrapInterval] | None:
    """Returns intervals of each row's difference to row `reference`, over seeds and documents; arguments as in
    `document_variance`.

    Returns None for fewer than 30 documents ("no text interval") or fewer than two seeds. The same `seed` gives the
    same draws.
    """
    _refuse(sums, counts)
    rows, seeds, blocks = sums.shape
    if not 0 < confidence < 1 or draws < 100:
        raise ValueError(f"0 < confidence < 1 and 100 draws are needed, got {confidence} and {draws}")
    if seeds < 2 or _too_few(blocks, documents):
        return None
    generator = np.random.default_rng(seed)
    differences = sums - sums[reference]
    weights = generator.multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(np.float64)
    of_blocks = (weights @ differences.mean(1).T) / (weights @ counts)[:, None]
    of_seeds = differences.sum(2) / counts.sum()
    middle = of_seeds.mean(1)
    stretch = np.sqrt((seeds - 1) / generator.chisquare(seeds - 1, draws)) / math.sqrt(seeds * (seeds - 1))
    multipliers = generator.standard_normal((draws, seeds)) * stretch[:, None]
    drawn = of_blocks + multipliers @ (of_seeds - middle[:, None]).T
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return [BootstrapInterval(float(middle[row]), float(low[row]), float(high[row])) for row in range(rows)]


def _too_few(blocks: int, documents: int | None) -> bool:
    return blocks < 2 or (blocks if documents is None else documents) < LEAST_DOCUMENTS


def _refuse(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    if sums.ndim != 3 or counts.shape != sums.shape[2:]:
        raise ValueError(
            f"rows x seeds x blocks and one count for each block are needed, got {sums.shape} and {counts.shape}"
        )
    if not np.isfinite(sums).all() or not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
        raise ValueError("sums need finite values, and counts whole numbers that are not all zero")
