"""Best against best: the interval by hand, and coverage where both bests are chosen by the runs that are compared."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.statistics.compare import compare
from pld_search.statistics.frontier import best_against_best


def drawn(truths: dict[str, float], seeds: int, sd: float, seed: int) -> dict[str, dict[int, float]]:
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 1, seeds)
    return {
        row: {index: truth + shared[index] + noise for index, noise in enumerate(generator.normal(0, sd, seeds))}
        for row, truth in truths.items()
    }


def test_two_rows_are_compared_as_ever() -> None:
    values = drawn({"full": 5.0, "pld": 5.1}, 4, 0.01, 1)
    found, wanted = best_against_best(values, ["pld"], ["full"]), compare(values, "full")["pld"]
    assert (found.best, found.other) == ("pld", "full")
    assert found.difference == pytest.approx(wanted.difference)
    assert found.interval == pytest.approx(wanted.interval)
    assert found.verdict == wanted.verdict == "worse"
    other = {row: {seed: -value for seed, value in runs.items()} for row, runs in values.items()}
    turned = best_against_best(other, ["pld"], ["full"], less_is_better=False)
    assert (turned.verdict, turned.difference) == ("worse", pytest.approx(-found.difference))
    assert turned.interval is not None and found.interval is not None
    assert turned.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_a_best_row_in_a_crowd_of_bad_ones() -> None:
    truths = {"full-4": 5.0, "full-6": 5.3, "pld-4": 5.4, "pld-6": 4.9}
    found = best_against_best(drawn(truths, 5, 0.01, 2), ["pld-4", "pld-6"], ["full-4", "full-6"])
    assert (found.best, found.other, found.verdict) == ("pld-6", "full-4", "better")
    assert found.interval is not None and found.interval[0] < -0.1 < found.interval[1] < 0
    near = best_against_best(drawn({**truths, "pld-6": 5.0}, 5, 0.001, 3), ["pld-6"], ["full-4", "full-6"], margin=0.02)
    assert near.verdict == "equal"
    assert best_against_best(drawn(truths, 1, 0.01, 2), ["pld-6"], ["full-4"]).verdict == "undecided"


def test_the_interval_covers_whichever_rows_are_chosen() -> None:
    """Five equal rows in all, four seeds: the naive interval of the chosen pair alone would be far too sure."""
    truths, inside, wrong, studies = dict.fromkeys(("f1", "f2", "d1", "d2", "d3"), 5.0), 0, 0, 250
    for study in range(studies):
        found = best_against_best(drawn(truths, 4, 0.02, study + 10), ["d1", "d2", "d3"], ["f1", "f2"])
        assert found.interval is not None
        inside += found.interval[0] <= 0 <= found.interval[1]
        wrong += found.verdict in ("better", "worse")
    assert inside / studies >= 0.95
    assert wrong / studies <= 0.05


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no seeds in common"):
        best_against_best({"a": {0: 1.0}, "b": {1: 1.0}}, ["a"], ["b"])
    with pytest.raises(ValueError, match="two groups"):
        best_against_best({"a": {0: 1.0}}, ["a"], [])
