"""Seeds after a look: for undecided rows that seeds would decide, and for the reference; none where none would help."""

from __future__ import annotations

from pld_search.statistics.looks import RowSeeds, seeds_after


def test_each_undecided_row_gets_what_would_decide_it_and_the_reference_the_most() -> None:
    rows = [RowSeeds("pld", 3, 2), RowSeeds("random", 3, 5), RowSeeds("shallow", 3, None), RowSeeds("late", 4, 0)]
    assert seeds_after(rows, "full") == {"pld": 5, "random": 8, "full": 8}


def test_nothing_is_bought_where_nothing_would_help() -> None:
    assert seeds_after([RowSeeds("pld", 3, None)], "full") == {}
    assert seeds_after([], "full") == {}
