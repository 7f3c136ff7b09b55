from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from pld_search.statistics.permutation import flipped, sign_flip_p

# Darwin 1876 by Fisher 1935, section 17: cross- less self-fertilised maize, eighths of an inch
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_darwins_maize() -> None:
    """Fisher 1935, section 21: 863 of 32,768 flips have a sum at least as large as 314, so 2 x 863 / 32,768."""
    (p,) = flipped(np.array([MAIZE], float))
    assert p == pytest.approx(2 * 863 / 32768)


def test_one_row_is_scipys_exact_test() -> None:
    differences = np.random.default_rng(1).normal(0.5, 1, 7)
    theirs = permutation_test(
        (differences, np.zeros(7)),
        lambda x, y: np.abs((x - y).sum()),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    assert flipped(differences[None])[0] == pytest.approx(theirs.pvalue)


def test_all_rows_together_err_as_often_as_they_say() -> None:
    """Seven rows without a difference share the noise of a reference; heavy tails and another scale for one row."""
    generator = np.random.default_rng(2)
    wrong = 0
    for _ in range(400):
        noise = generator.standard_t(3, (8, 6))
        noise[3] *= 5
        wrong += bool((flipped(noise[1:] - noise[0]) <= 0.05).any())
    assert wrong / 400 < 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 400)


def test_more_rows_make_p_larger_and_a_clear_difference_is_found() -> None:
    generator = np.random.default_rng(3)
    values = {name: dict(enumerate(map(float, generator.normal(0, 1, 8)))) for name in ("full", "a", "b", "c")}
    values["pld"] = {seed: value + 9.0 + 0.1 * seed for seed, value in values["full"].items()}
    alone, together = sign_flip_p(values, ["pld"], "full"), sign_flip_p(values, ["a", "b", "c", "pld"], "full")
    assert alone is not None and together is not None
    assert alone["pld"] == 2 / 2**8 <= together["pld"] < 0.05
    assert together["a"] >= flipped(np.array([[values["a"][seed] - values["full"][seed] for seed in range(8)]]))[0]


def test_few_seeds_have_no_test_and_many_are_cut() -> None:
    values = {name: {seed: float(seed * (name == "a")) for seed in range(20)} for name in ("full", "a")}
    five = {name: {seed: runs[seed] for seed in range(5)} for name, runs in values.items()}
    assert sign_flip_p(five, ["a"], "full") is None
    assert sign_flip_p(values, ["a"], "full") == {"a": pytest.approx(2 * 2 / 2**16)}  # the difference of seed 0 is zero


def test_a_row_equal_to_the_reference_has_p_one() -> None:
    assert list(flipped(np.zeros((1, 6)))) == [1.0]


def test_numbers_that_are_not_finite_are_refused() -> None:
    values = {"full": dict.fromkeys(range(6), 1.0), "a": dict.fromkeys(range(6), math.nan)}
    with pytest.raises(ValueError, match="a needs finite values"):
        sign_flip_p(values, ["a"], "full")
