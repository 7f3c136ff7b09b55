from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dunnett, ttest_rel

from pld_search.statistics.blocked import Variance
from pld_search.statistics.compare import compare
from pld_search.statistics.simultaneous import critical_value
from pld_search.statistics.spread import quantile
from pld_search.statistics.verdict import Verdict, verdict_of, words
from tests.statistics.test_blocked import PENICILLIN


def table(numbers: np.ndarray) -> dict[str, dict[int, float]]:
    return {f"row{index}": dict(enumerate(map(float, runs))) for index, runs in enumerate(numbers)}


def measured(means: list[float], residual: float, seeds: int, seed_sd: float = 0.0) -> dict[str, dict[int, float]]:
    """Rows with exactly these means, and a blocked residual of exactly this deviation."""
    generator = np.random.default_rng(1)
    noise = generator.standard_normal((len(means), seeds))
    noise -= noise.mean(1, keepdims=True) + noise.mean(0) - noise.mean()
    noise *= residual / math.sqrt((noise**2).sum() / ((len(means) - 1) * (seeds - 1)))
    return table(np.array(means)[:, None] + noise + seed_sd * generator.standard_normal(seeds))


@pytest.mark.parametrize(
    ("systems", "seeds", "sd", "residual", "apart", "blocked"),
    [(3, 3, 0.0134, 0.0025, 0.027, 0.006), (3, 3, 0.0405, 0.0147, 0.081, 0.033)],
)
def test_half_widths_of_one_row_before_and_after_blocking(
    systems: int,
    seeds: int,
    sd: float,
    residual: float,
    apart: float,
    blocked: float,
) -> None:
    """The recorded deviations of the demo and of 3,600 steps of a 6 x 40 model, three systems by three seeds."""
    assert quantile(systems * (seeds - 1)) * sd * math.sqrt(2 / seeds) == pytest.approx(apart, abs=5e-4)
    freedom = (systems - 1) * (seeds - 1)
    assert quantile(freedom) * residual * math.sqrt(2 / seeds) == pytest.approx(blocked, abs=5e-4)
    found = compare(measured([5.0] * systems, residual, seeds, seed_sd=sd), "row0")
    assert found.residual is not None
    assert math.sqrt(found.residual.value) == pytest.approx(residual)
    simultaneous = critical_value(systems - 1, freedom) * residual * math.sqrt(2 / seeds)
    assert [row.half_width for row in found.rows] == pytest.approx([simultaneous] * (systems - 1))
    assert blocked < simultaneous < 1.25 * blocked


def test_four_systems_on_two_seeds() -> None:
    assert quantile(3) * 0.0056 == pytest.approx(0.018, abs=5e-4)
    found = compare(measured([5.0] * 4, 0.0056, 2), "row0")
    assert found.rows[0].half_width == pytest.approx(critical_value(3, 3) * 0.0056)


def test_penicillin() -> None:
    """Box, Hunter and Hunter 1978: no treatment differs; s^2 = 18.83 with 12 d.f., Dunnett's value is 2.68."""
    found = compare(PENICILLIN, "A", less_is_better=False)
    assert [row.verdict for row in found.rows] == [Verdict.UNDECIDED] * 3
    half = 2.683 * math.sqrt(18.83 * 2 / 5)
    assert [row.half_width for row in found.rows] == pytest.approx([half] * 3, rel=1e-3)
    assert found["C"].interval == pytest.approx((5 - half, 5 + half), rel=1e-2)
    with pytest.raises(KeyError):
        found["A"]


def test_without_effects_of_seeds_the_p_values_are_nearly_scipys() -> None:
    """Of independent groups scipy knows three more degrees of freedom; with as many in both, the p are equal."""
    numbers = np.random.default_rng(8).normal(0, 1, (4, 6))
    numbers -= numbers.mean(0)  # no effect of a seed: the residual is the spread within groups
    numbers += np.array([0, 0.5, 1.0, -0.5])[:, None]
    ours = compare(table(numbers), "row0")
    theirs = dunnett(*numbers[1:], control=numbers[0], rng=np.random.default_rng(0))
    scale = math.sqrt((6 - 1) * 4 / ((6 - 1) * 3))
    assert ours.wider == ()
    for row, statistic in zip(ours.rows, theirs.statistic, strict=True):
        assert row.difference / row.standard_error * scale == pytest.approx(statistic)  # type: ignore[operator]


def test_one_row_is_the_paired_t_test() -> None:
    numbers = np.random.default_rng(3).normal(0, 1, (2, 5))
    (row,) = compare(table(numbers), "row0").rows
    assert row.p == pytest.approx(ttest_rel(*numbers).pvalue, rel=1e-6)


def test_the_verdicts() -> None:
    found = compare(measured([5.0, 4.9, 5.1, 5.001, 5.009], 0.004, 3), "row0", margin=0.014)
    assert [row.verdict for row in found.rows] == ["better", "worse", "equal", "undecided"]
    assert [row.text() for row in found.rows][:3] == ["better", "worse", "equal within 0.014"]
    assert found.rows[3].text().startswith("undecided: ")
    scores = compare(measured([50, 60, 40], 0.4, 3), "row0", less_is_better=False)
    assert [row.verdict for row in scores.rows] == ["better", "worse"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 4))
def test_p_interval_and_verdict_agree(draw: int, systems: int, seeds: int) -> None:
    generator = np.random.default_rng(draw)
    numbers = generator.normal(0, 1, (systems, seeds)) + generator.normal(0, 3, (systems, 1))
    for row in compare(table(numbers), "row0", looks=2).rows:
        assert row.interval is not None and row.p is not None
        resolved = not row.interval[0] <= 0 <= row.interval[1]
        assert resolved == (row.p < 0.05 / 2 * 2) or row.p == pytest.approx(0.05, abs=1e-6)
        assert resolved == (row.verdict in (Verdict.BETTER, Verdict.WORSE))


def test_every_row_and_every_look_widens_the_interval() -> None:
    halves = []
    for count, looks in ((2, 1), (5, 1), (5, 3)):
        found = compare(measured([5.0] * count, 0.004, 4), "row0", looks=looks)
        halves.append(found.rows[0].half_width or 0.0)
    assert halves[1] < halves[2]
    assert critical_value(1, 3) > critical_value(4, 12)  # more rows know the spread better


def test_another_architecture_is_judged_by_its_own_pairs() -> None:
    values = measured([5.0, 4.99, 5.01, 4.97], 0.002, 4)
    moved = {**values, "row3": {seed: value + 0.05 * (seed - 1.5) for seed, value in values["row3"].items()}}
    shapes = {"row0": (6, 96), "row1": (6, 96), "row2": (6, 96), "row3": (2, 96)}
    found = compare(moved, "row0", architecture=shapes)
    families = [[(spread.family, spread.seeds.freedom) for spread in row.spreads] for row in found.rows]
    assert families == [[(2, 6)], [(2, 6)], [(1, 3)]]
    assert [row.spreads[0].alpha for row in found.rows] == pytest.approx([0.05 * 2 / 3, 0.05 * 2 / 3, 0.05 / 3])
    only = compare({row: moved[row] for row in ("row0", "row1", "row2")}, "row0")
    assert found.residual == only.residual


def test_a_wide_row_has_to_pass_by_its_own_spread_too() -> None:
    generator = np.random.default_rng(5)
    numbers = generator.normal(0, 0.01, (6, 4))
    numbers[3] *= 30
    found = compare(table(numbers), "row0")
    assert found.wider == ("row3",)
    assert [spread.family for spread in found["row3"].spreads] == [5, 1]
    assert [spread.family for spread in found["row1"].spreads] == [5]
    assert found["row3"].half_width == found["row3"].spreads[1].half_width()
    of_reference = compare(table(numbers), "row3")
    assert [spread.family for spread in of_reference["row1"].spreads] == [5, 1]


def test_documents_widen_the_interval() -> None:
    values = measured([5.0, 4.99, 5.01], 0.004, 4)
    bare = compare(values, "row0")
    with_text = compare(values, "row0", documents={"row1": Variance(0.006**2, 511)})
    assert with_text["row1"].half_width > 1.5 * bare["row1"].half_width  # type: ignore[operator]
    assert with_text["row2"].half_width == bare["row2"].half_width
    assert with_text["row1"].text_share == pytest.approx(0.006**2 / (0.006**2 + 0.004**2 / 2))
    assert bare["row1"].text_share is None


def test_more_seeds_would_decide_with_the_power_that_is_asked_for() -> None:
    found = compare(measured([5.0, 4.993, 5.0], 0.004, 3), "row0", margin=0.008)
    for row in found.rows:
        assert row.verdict is Verdict.UNDECIDED
        more = row.more_seeds()
        assert more is not None and more >= 1
        assert row.more_seeds(power=0.95) > more  # type: ignore[operator]
    without = compare(measured([5.0, 5.0], 0.004, 3), "row0")
    assert without.rows[0].more_seeds() is None
    assert without.rows[0].text() == "undecided"
    text = compare(measured([5.0, 4.993, 5.0], 0.004, 3), "row0", documents={"row1": Variance(0.01**2, 511)})
    assert text["row1"].more_seeds() is None


def test_one_seed_is_undecided_without_an_interval() -> None:
    (row,) = compare({"full": {0: 5.0}, "pld": {0: 4.0}}, "full", margin=0.1).rows
    assert (row.difference, row.half_width, row.p, row.standard_error) == (-1.0, None, None, None)
    assert (row.interval, row.equivalence_half_width) == (None, None)
    assert (row.verdict, row.text()) == (Verdict.UNDECIDED, "undecided")


def test_seeds_that_agree_exactly_decide_nothing() -> None:
    (row,) = compare({"full": {0: 0.0, 1: 0.0}, "pld": {0: 0.045, 1: 0.045}}, "full").rows
    assert row.verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ({"full": {0: 1.0}}, {}, "one other row"),
        ({"pld": {0: 1.0}, "random": {0: 1.0}}, {}, "the reference full"),
        ({"full": {0: 1.0}, "pld": {0: math.nan}}, {}, "pld needs finite values"),
        ({"full": {0: 1.0}, "pld": {}}, {}, "pld needs at least one value"),
        ({"full": {0: 1.0}, "pld": {1: 1.0}}, {}, "no seeds in common"),
        ({"full": {0: 1.0}, "pld": {0: 1.0}}, {"margin": 0.0}, "margin > 0"),
        ({"full": {0: 1.0}, "pld": {0: 1.0}}, {"margin": math.nan}, "a margin needs finite"),
        ({"full": {0: 1.0}, "pld": {0: 1.0}}, {"alpha": 1.0}, "0 < alpha < 1"),
        ({"full": {0: 1.0}, "pld": {0: 1.0}}, {"looks": 4}, "1 .. 3 looks"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    values: dict[str, dict[int, float]],
    settings: dict[str, float],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        compare(values, "full", **settings)  # type: ignore[arg-type]


def test_the_rule_of_the_verdicts() -> None:
    assert verdict_of(-0.3, 0.2, 0.15, margin=0.5) is Verdict.EQUAL  # too small to count
    assert verdict_of(-0.3, 0.2, 0.15, margin=0.4) is Verdict.BETTER
    assert verdict_of(-0.3, 0.2, 0.15, less_is_better=False) is Verdict.WORSE
    assert verdict_of(-0.3, 0.31, 0.25) is Verdict.UNDECIDED
    assert verdict_of(-0.3, None, None, margin=9.0) is Verdict.UNDECIDED


def test_the_words_of_the_verdicts() -> None:
    assert words(Verdict.EQUAL, 0.01) == "equal within 0.01"
    assert words(Verdict.UNDECIDED, None, 1) == "undecided: 1 more seed would decide"
    assert words(Verdict.UNDECIDED, 0.1, 3) == "undecided: 3 more seeds would decide"
    assert words(Verdict.BETTER) == "better"
