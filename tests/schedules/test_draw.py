"""Draws are what the schedule says: 20,000 plans against keep probabilities, and no correlation where there must be
none.

Seeds are fixed, so a test either always passes or never; the bounds are four standard errors, a little more where one
bound serves more than a hundred comparisons.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pld_search.schedules.draw.bernoulli import Bernoulli
from pld_search.schedules.draw.family import Sample
from pld_search.schedules.draw.sequence_rows import rows_of_strata
from pld_search.schedules.plan import Plan
from tests.schedules.examples import INDICES, constant, schedule

PLANS, LAYERS = 20_000, 12
STEPS = np.arange(PLANS)


def _correlations(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Correlation of every column of `first` with every column of `second`."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    return (a.T @ b) / np.sqrt(np.outer((a**2).sum(axis=0), (b**2).sum(axis=0)))


@pytest.fixture(scope="module")
def kept() -> NDArray[np.bool_]:
    """dd-only, two groups: (PLANS, 2, LAYERS)."""
    return Plan(constant(0.5, {"kind": "linear", "index": "l/L"}), 0, PLANS, LAYERS, 2).kept(STEPS)


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("temporal", ["pld", "constant", "rising"])
def test_keep_rate_of_every_layer(index: str, temporal: str) -> None:
    depth = {"kind": "linear", "index": index}
    made = {
        "pld": schedule(depth=depth),
        "constant": constant(0.3, depth),
        "rising": schedule(temporal={"kind": "linear", "start": 0.3, "end": 1.0}, depth=depth),
    }[temporal]
    p = made.keep_probabilities(STEPS, PLANS, LAYERS)
    rate = Plan(made, 11, PLANS, LAYERS).kept(STEPS)[:, 0].mean(axis=0)
    error = np.sqrt((p * (1 - p)).sum(axis=0)) / PLANS
    assert (np.abs(rate - p.mean(axis=0)) <= 4 * error).all()
    assert (rate[p.min(axis=0) == 1.0] == 1.0).all()


def test_variance_of_the_number_kept(kept: NDArray[np.bool_]) -> None:
    p = constant(0.5, {"kind": "linear", "index": "l/L"}).keep_probabilities(0, PLANS, LAYERS)
    q = p * (1 - p)
    variance, fourth_cumulant = float(q.sum()), float((q * (1 - 6 * q)).sum())
    error = np.sqrt((fourth_cumulant + 2 * variance**2) / PLANS)
    for group in range(2):
        assert abs(kept[:, group].sum(axis=-1).var(ddof=1) - variance) <= 2 * error


def test_no_correlation_between_layers(kept: NDArray[np.bool_]) -> None:
    between = _correlations(kept[:, 0], kept[:, 0])[~np.eye(LAYERS, dtype=bool)]
    assert len(between) == LAYERS * (LAYERS - 1)
    assert np.abs(between).max() <= 4 / np.sqrt(PLANS)


@pytest.mark.parametrize("distance", [1, 2, 4])
def test_no_correlation_between_neighbouring_steps(kept: NDArray[np.bool_], distance: int) -> None:
    assert np.abs(_correlations(kept[:-distance, 0], kept[distance:, 0])).max() <= 4.2 / np.sqrt(PLANS)


def test_no_correlation_between_groups(kept: NDArray[np.bool_]) -> None:
    assert np.abs(_correlations(kept[:, 0], kept[:, 1])).max() <= 4.2 / np.sqrt(PLANS)


@pytest.mark.parametrize("other", [1, 2, 2**32, 1000])
def test_no_correlation_between_seeds(kept: NDArray[np.bool_], other: int) -> None:
    plan = Plan(constant(0.5, {"kind": "linear", "index": "l/L"}), other, PLANS, LAYERS, 2).kept(STEPS)
    assert np.abs(_correlations(kept[:, 0], plan[:, 0])).max() <= 4.2 / np.sqrt(PLANS)


def test_seeds_at_one_step_follow_the_probabilities() -> None:
    made, seeds = schedule(), 3000
    p = made.keep_probabilities(30, 100, LAYERS)
    rate = np.mean([Plan(made, seed, 100, LAYERS).kept(30)[0, 0] for seed in range(seeds)], axis=0)
    assert (np.abs(rate - p) <= 4 * np.sqrt(p * (1 - p) / seeds)).all()


def test_an_off_by_one_convention_would_be_seen(kept: NDArray[np.bool_]) -> None:
    """The bounds are tight enough to tell the three index conventions apart."""
    rate = kept[:, 0].mean(axis=0)
    for index in INDICES[1:]:
        p = constant(0.5, {"kind": "linear", "index": index}).keep_probabilities(0, PLANS, LAYERS)
        assert (np.abs(rate - p) > 4 * np.sqrt(np.maximum(p * (1 - p), 1e-9) / PLANS)).sum() >= 5


@pytest.mark.parametrize(("value", "expected"), [(1.0, True), (0.0, False)])
def test_certainty(value: float, expected: bool) -> None:
    assert (Plan(constant(value, rescale="none"), 3, 500, 7, 2).kept(np.arange(500)) == expected).all()


def test_of_the_2_to_the_32_words_exactly_p_are_kept() -> None:
    """A word equal to p's grid steps is not kept, so p = 0 keeps none of them and p = 1 all."""
    words = Sample(0, "", np.arange(3), 2, np.zeros((3, 4), dtype=np.uint64)).words("", 4).astype(np.uint64)
    draw, seen = Bernoulli(per="group", unit="layer"), 0
    for more, expected in ((0, False), (1, True)):
        for group in range(2):
            sample = Sample(0, "", np.arange(3), 2, words[:, group] + np.uint64(more))
            assert (draw.kept(sample)[:, group] == expected).all()
            seen += 1
    assert seen == 4


def test_of_the_words_of_a_stratum_exactly_the_fraction_takes_one_row_more() -> None:
    """p = (1 + w/2^32)/2 over strata of 2: one row, and a second one for words below w alone."""
    words = Sample(0, "", np.arange(64), 1, np.zeros((64, 1), dtype=np.uint64)).words("", 1)[:, 0, 0]
    steps = np.flatnonzero(words % 2 == 0)
    assert len(steps) > 10
    grid = ((np.uint64(2**32) + words[steps].astype(np.uint64)) // np.uint64(2))[:, None]
    assert (rows_of_strata(Sample(0, "", steps, 1, grid), 2) == 1).all()
    assert (rows_of_strata(Sample(0, "", steps, 1, grid + np.uint64(1)), 2) == 2).all()
