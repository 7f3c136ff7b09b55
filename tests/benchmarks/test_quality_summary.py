from __future__ import annotations

import math

import pytest

from benchmarks.quality_picture import regret_at
from benchmarks.quality_summary import median_of, number, paired, quantile, ratio_of_medians, text_table

NEVER = math.inf


def test_the_interval_of_a_median_is_that_of_its_order_statistics() -> None:
    found = median_of([float(value) for value in range(1, 201)])
    assert (found.value, found.lower_quartile, found.upper_quartile) == (100, 50, 150)
    # the ranks of the tables for n = 200: Binomial(200, 1/2) lies in 86 .. 114 with 95 %
    assert (found.low, found.high) == (86, 115)


def test_what_was_never_reached_counts_as_dearer_than_all() -> None:
    assert quantile([3.0, NEVER, 1.0, 2.0], 0.5) == 2
    assert median_of([1.0, NEVER, NEVER]).value == NEVER
    assert (number(NEVER), number(2.345, 2)) == ("never", "2.35")


def test_ratios_of_medians_and_of_pairs() -> None:
    ones = [float(value) for value in range(1, 41)]
    value, low, high = ratio_of_medians([each / 4 for each in ones], ones)
    assert (value, low, high) == pytest.approx((0.25, 0.25, 0.25))
    found = paired([1.0, 8.0, NEVER, NEVER, 2.0], [4.0, 4.0, NEVER, 5.0, NEVER])
    assert (found["value"], found["cheaper"], found["dearer"], found["of"]) == (1.0, 2, 2, 5)


def test_a_curve_counts_from_where_its_run_ended() -> None:
    curve = [(1.0, 0.9), (3.0, 0.2)]
    assert [regret_at(curve, cost) for cost in (0.5, 1.0, 2.9, 3.0)] == [NEVER, 0.9, 0.9, 0.2]


def test_the_table_is_markdown_with_its_columns_in_line() -> None:
    text = text_table([{"a": "one", "b": 2}, {"a": "three", "b": 10}], (("a", "what"), ("b", "how many")))
    assert text.splitlines() == [
        "| what  | how many |",
        "|-------|---------:|",
        "| one   |        2 |",
        "| three |       10 |",
    ]
