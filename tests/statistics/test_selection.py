from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from pld_search.statistics.selection import Shrunken, bias_of_best, expected_maximum, shrunken


def best_of(values: list[float], noise_sd: float, less_is_better: bool = True) -> Shrunken:
    """The shrinkage of the best of the values."""
    return (min if less_is_better else max)(shrunken(values, noise_sd), key=lambda each: each.observed)


@pytest.mark.parametrize(
    ("n", "published"),
    [(1, 0.0), (2, 0.56419), (3, 0.84628), (6, 1.26721), (10, 1.53875), (20, 1.86748), (40, 2.16078)],
)
def test_expected_maxima_are_those_of_the_table(n: int, published: float) -> None:
    """Harter 1961, Expected values of normal order statistics, Biometrika 48, table 1."""
    assert expected_maximum(n) == pytest.approx(published, abs=2e-5)


def test_the_bias_of_the_best_is_what_draws_show() -> None:
    generator = np.random.default_rng(1)
    truth = generator.normal(0, 0.7, (20_000, 12))
    seen = truth + generator.normal(0, 0.4, truth.shape)
    best = seen.argmin(1)[:, None]
    shown = np.take_along_axis(truth - seen, best, 1).mean()
    assert bias_of_best(12, 0.4, 0.7) == pytest.approx(shown, abs=0.01)
    assert bias_of_best(6, 1.0, 0.0) == pytest.approx(1.267, abs=1e-3)
    assert bias_of_best(6, 0.0, 0.0) == 0.0


def test_shrinkage_takes_the_bias_away() -> None:
    generator = np.random.default_rng(2)
    errors, biases = [], []
    for _ in range(1500):
        truth = generator.normal(5, 0.3, 40)
        seen = truth + generator.normal(0, 0.3, 40)
        found = best_of(list(seen), 0.3)
        errors.append(found.expected - truth[seen.argmin()])
        biases.append(found.bias)
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(biases) == pytest.approx(-bias_of_best(40, 0.3, 0.3), rel=0.05)
    assert best_of(list(seen), 0.3).sd == pytest.approx(np.std(errors), rel=0.25)


def test_trials_that_differ_no_more_than_seeds_are_shrunk_to_their_mean() -> None:
    found = best_of([4.9, 5.0, 5.1], 0.2)
    assert (found.kept, found.observed, found.trials) == (0.0, 4.9, 3)
    assert found.expected == pytest.approx(5.0)
    assert best_of([50.0, 60.0], 1e-6, less_is_better=False).expected == pytest.approx(60.0)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=10), st.floats(0.01, 5))
def test_the_expected_value_lies_between_the_observed_one_and_the_mean(values: list[float], noise: float) -> None:
    found = best_of(values, noise)
    assert min(values) - 1e-9 <= found.expected <= sum(values) / len(values) + 1e-9
    assert 0 <= found.kept < 1


def test_a_leader_confirmed_on_fresh_seeds_errs_as_often_as_stated() -> None:
    """Forty trials of equal worth, the leader fixed by one seed, then three fresh seeds against the reference.

    2.5 % are called better. By the seed that chose it, the leader beats the reference's run in nearly all studies.
    """
    generator = np.random.default_rng(3)
    studies = 20_000
    searched = generator.standard_normal((studies, 40))
    leader = searched.argmin(1)
    fresh = generator.standard_normal((studies, 41, 3))
    chosen, reference = fresh[np.arange(studies), leader], fresh[:, 40]
    called = (ttest_rel(chosen, reference, axis=1, alternative="less").pvalue < 0.025).mean()
    assert called == pytest.approx(0.025, abs=2.5 * math.sqrt(0.025 * 0.975 / studies))
    assert (searched.min(1) < fresh[:, 40, 0]).mean() > 0.9


@pytest.mark.parametrize(("values", "noise"), [([1.0], 0.1), ([1.0, math.nan], 0.1), ([1.0, 2.0], 0.0)])
def test_what_has_no_selection_is_refused(values: list[float], noise: float) -> None:
    with pytest.raises(ValueError, match="need"):
        best_of(values, noise)


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one number"):
        expected_maximum(0)
    with pytest.raises(ValueError, match="not negative"):
        bias_of_best(3, -1.0, 0.0)
