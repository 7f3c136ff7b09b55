from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct
from scipy.stats import t as student

from pld_search.statistics.blocked import Variance
from pld_search.statistics.interval import SimultaneousInterval
from pld_search.statistics.power import (
    Design,
    RowSeeds,
    detectable,
    detectable_between,
    least_number,
    power,
    power_of_difference,
    power_of_equivalence,
    power_to_show_equal,
    seeds_after,
    seeds_needed,
)


def bare(variance: float, freedom: float) -> SimultaneousInterval:
    """One row by itself, at 5 %."""
    return SimultaneousInterval(Variance(variance, freedom), None, 1, 0.05)


@pytest.mark.parametrize(("effect", "freedom"), [(0.0, 4), (2.5, 4), (3.9, 14), (3.0, 2)])
def test_power_is_the_noncentral_t(effect: float, freedom: int) -> None:
    critical = student.ppf(0.975, freedom)
    expected = nct.sf(critical, freedom, effect) + nct.cdf(-critical, freedom, effect)
    assert power_of_difference(effect * 0.3, bare(0.09, freedom)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("effect", "n", "published"), [(0.5, 64, 0.801), (0.8, 26, 0.807), (0.2, 394, 0.801)])
def test_cohens_sample_sizes(effect: float, n: int, published: float) -> None:
    """Cohen 1988, table 2.4.1: for 80 % power at 5 %, effects of 0.2, 0.5, 0.8 take groups of 393, 64, 26."""
    assert power_of_difference(effect, bare(2 / n, 2 * n - 2)) == pytest.approx(published, abs=0.001)


@pytest.mark.parametrize(("seeds", "apart", "blocked"), [(2, 3.20, 1.03), (3, 2.44, 0.78), (5, 1.83, 0.58)])
def test_a_pair_by_itself_detects_what_simulations_said(seeds: int, apart: float, blocked: float) -> None:
    """Eight rows, correlation 0.9 of runs of one seed, each test by itself at 5 %; effects in deviations of a run."""
    for effect, variance, freedom in ((apart, 2 / seeds, 8 * (seeds - 1)), (blocked, 0.2 / seeds, 7 * (seeds - 1))):
        assert power_of_difference(effect, bare(variance, freedom)) == pytest.approx(0.8, abs=0.02)


def test_a_design_of_two_runs_and_six_single_ones_detects_twenty_deviations() -> None:
    assert power_of_difference(20, bare(1.5, 1)) == pytest.approx(0.8, abs=0.02)


def test_equivalence_of_bare_pairs_is_shown_as_simulations_said() -> None:
    """Margin 1.5 deviations, three seeds, eight rows, no difference: 15 % unpaired, 87 % blocked at rho 0.7."""
    for variance, freedom, expected in ((2 / 3, 16, 0.15), (0.6 / 3, 14, 0.87)):
        found = power_of_equivalence(0.0, 1.5, bare(variance, freedom))
        assert found == pytest.approx(expected, abs=0.025)


def test_what_a_design_detects_has_the_power_that_was_asked_for() -> None:
    design = Design(systems=8, seeds=3, sd=0.0134, rho=0.9)
    found = detectable(design)
    assert found is not None
    assert power(design, found) == pytest.approx(0.8, abs=1e-6)
    assert power(design, -found) == pytest.approx(0.8, abs=1e-6)
    assert power(design, 0.0) < 0.05 / 7 * 1.5


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 9), st.integers(2, 5), st.sampled_from([0.0, 0.7, 0.9]))
def test_more_of_anything_good_detects_less(systems: int, seeds: int, rho: float) -> None:
    found = detectable(Design(systems, seeds, 0.02, rho))
    assert found is not None
    for better in (Design(systems, seeds + 1, 0.02, rho), Design(systems, seeds, 0.01, rho)):
        assert (detectable(better) or math.inf) < found
    text = detectable(Design(systems, seeds, 0.02, rho, text=1e-4))
    assert text is not None and text > found
    design = Design(systems, seeds, 0.02, rho)
    assert power_to_show_equal(design, 0.2) >= power_to_show_equal(design, 0.02)


def test_a_row_of_another_architecture_needs_more() -> None:
    design = Design(systems=8, seeds=3, sd=0.005, other=2)
    alike, own = detectable(design), detectable(design, own=True)
    assert alike is not None and own is not None
    assert own > 2 * alike


def test_seeds_that_an_effect_takes() -> None:
    design = Design(systems=8, seeds=2, sd=1.0, rho=0.9)
    needed = seeds_needed(design, 0.5)
    assert needed is not None
    assert power(Design(8, needed, 1.0, 0.9), 0.5) >= 0.8 > power(Design(8, needed - 1, 1.0, 0.9), 0.5)
    assert seeds_needed(Design(8, 2, 1.0, 0.9, text=1.0), 0.5) is None  # more seeds do not read more text
    assert seeds_needed(design, 1e-9, most=50) is None


def test_a_pilot_gives_an_interval_of_what_is_detectable() -> None:
    design = Design(systems=3, seeds=3, sd=0.0025)
    found = detectable_between(design, freedom=4)
    stated = detectable(design)
    assert found is not None and stated is not None
    assert found[0] < stated < found[1]
    # chi^2 with 4 degrees of freedom: 9.488 and 0.711
    assert (found[0] / stated, found[1] / stated) == (
        pytest.approx(math.sqrt(4 / 9.488), rel=1e-3),
        pytest.approx(math.sqrt(4 / 0.711), rel=1e-3),
    )


def test_one_seed_detects_nothing() -> None:
    design = Design(systems=4, seeds=1, sd=0.01)
    assert (power(design, 9.0), power_to_show_equal(design, 9.0)) == (0.0, 0.0)
    assert detectable(design) is None
    assert detectable_between(design, 4) is None


WITHOUT_A_MEANING: list[dict[str, float]] = [
    {"sd": math.nan},
    {"sd": 0.0},
    {"rho": 1.0},
    {"systems": 1},
    {"other": 4},
    {"looks": 0},
]


@pytest.mark.parametrize("wrong", WITHOUT_A_MEANING)
def test_designs_without_a_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a design needs"):
        Design(**{"systems": 4, "seeds": 3, "sd": 0.01, **wrong})  # type: ignore[arg-type]


def test_least_number() -> None:
    assert [least_number(lambda n: n >= 7, 1, most) for most in (6, 7, 100)] == [None, 7, 7]
    assert least_number(bool, 3, 9) == 3
    assert least_number(bool, 3, 2) is None


def test_each_undecided_row_gets_what_would_decide_it_and_the_reference_the_most() -> None:
    rows = [RowSeeds("pld", 3, 2), RowSeeds("random", 3, 5), RowSeeds("shallow", 3, None), RowSeeds("late", 4, 0)]
    assert seeds_after(rows, "full") == {"pld": 5, "random": 8, "full": 8}


def test_nothing_is_bought_where_nothing_would_help() -> None:
    assert seeds_after([RowSeeds("pld", 3, None)], "full") == {}
    assert seeds_after([], "full") == {}
