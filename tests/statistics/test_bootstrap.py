from __future__ import annotations

import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap as scipys
from scipy.stats import ttest_rel

from pld_search.statistics.bootstrap import bootstrap, document_variance

Sums = tuple[NDArray[np.float64], NDArray[np.int64]]


def losses(
    seed: int,
    rows: int = 3,
    seeds: int = 3,
    blocks: int = 100,
    over_seeds: float = 0.005,
    over_blocks: float = 0.3,
) -> Sums:
    """Sums and counts of losses near 5 without a difference between rows."""
    generator = np.random.default_rng(seed)
    counts = generator.integers(20, 60, blocks)
    runs = generator.normal(0, over_seeds, (rows, seeds, 1))
    texts = generator.normal(5, 1, blocks) + generator.normal(0, over_blocks, (rows, 1, blocks))
    return counts * (runs + texts), counts


def test_the_variance_over_documents_is_that_of_a_ratio() -> None:
    """Against scipy's bootstrap of the ratio over the same blocks."""
    sums, counts = losses(1)
    found = document_variance(sums, counts, 0)
    difference = (sums[1] - sums[0]).mean(0)
    drawn = scipys(
        (difference, counts),
        lambda d, c, axis: d.sum(axis) / c.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    assert found[1] is not None and found[0] is not None
    assert math.sqrt(found[1].value) == pytest.approx(drawn.standard_error, rel=0.04)
    assert found[1].freedom == 99
    assert found[0].value == 0


def test_a_ratio_by_hand() -> None:
    """The same difference in every block has no variance; then one block of forty differs by 4 a prediction."""
    counts = np.full(40, 10)
    sums = np.stack([np.zeros((1, 40)), np.full((1, 40), 20.0)])
    exact = document_variance(sums, counts, 0)[1]
    assert exact is not None and exact.value == 0
    sums[1, 0, 0] += 40.0  # d = 2.1, e = 39 once and -1 otherwise
    found = document_variance(sums, counts, 0)[1]
    assert found is not None
    assert found.value == pytest.approx(40 / 39 * (39**2 + 39) / 400**2)


def test_without_noise_of_documents_the_interval_is_the_paired_t_test() -> None:
    sums, counts = losses(2, over_blocks=0.0)
    found = bootstrap(sums, counts, 0, draws=20_000)
    assert found is not None
    values = sums.sum(2) / counts.sum()
    exact = ttest_rel(values[1], values[0]).confidence_interval(0.95)
    assert found[1].difference == pytest.approx(values[1].mean() - values[0].mean())
    assert (found[1].low, found[1].high) == (
        pytest.approx(exact.low, rel=0.08, abs=5e-4),
        pytest.approx(exact.high, rel=0.08, abs=5e-4),
    )


def test_without_noise_of_seeds_the_interval_is_that_of_the_documents() -> None:
    sums, counts = losses(3, over_seeds=0.0)
    sums[:] = sums.mean(1, keepdims=True)
    found, variance = bootstrap(sums, counts, 0), document_variance(sums, counts, 0)[1]
    assert found is not None and variance is not None
    assert (found[1].high - found[1].low) / 2 == pytest.approx(1.96 * math.sqrt(variance.value), rel=0.06)
    assert (found[0].low, found[0].high) == (0.0, 0.0)


def test_few_documents_have_no_text_interval() -> None:
    sums, counts = losses(4, blocks=29)
    assert bootstrap(sums, counts, 0) is None
    assert document_variance(sums, counts, 0) == [None, None, None]
    assert bootstrap(sums, counts, 0, documents=30) is not None  # blocks of consecutive documents may be fewer
    many, counts = losses(4, blocks=40)
    assert bootstrap(many, counts, 0, documents=29) is None
    assert bootstrap(many[:, :1], counts, 0) is None
    assert document_variance(many[:, :1], counts, 0)[1] is not None


def test_draws_are_reproducible() -> None:
    sums, counts = losses(5)
    assert bootstrap(sums, counts, 0, seed=1) == bootstrap(sums, counts, 0, seed=1)
    assert bootstrap(sums, counts, 0, seed=1) != bootstrap(sums, counts, 0, seed=2)


def test_nine_rows_of_four_seeds_take_less_than_a_second() -> None:
    sums, counts = losses(6, rows=9, seeds=4, blocks=512)
    started = time.process_time()
    assert bootstrap(sums, counts, 0) is not None
    assert time.process_time() - started < 1.0


def test_shapes_and_numbers_are_checked() -> None:
    sums, counts = losses(7)
    with pytest.raises(ValueError, match="one count for each block"):
        bootstrap(sums, counts[:-1], 0)
    with pytest.raises(ValueError, match="100 draws"):
        bootstrap(sums, counts, 0, draws=10)
    with pytest.raises(ValueError, match="finite"):
        document_variance(sums * math.nan, counts, 0)
    with pytest.raises(ValueError, match="not all zero"):
        document_variance(sums, counts * 0, 0)
