"""Signs, dominance and fronts: one value for search and report."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pld_search.spaces.objectives import Objective, Objectives, dominates, dominators, front

BOTH = Objectives((Objective(minimize="valid/loss"), Objective(maximize="saved/flops")))
VECTORS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


def test_signed_values_are_less_where_they_are_better() -> None:
    assert BOTH.signed([5.0, 0.2]) == (5.0, -0.2)
    assert BOTH.directions == ("minimize", "maximize")
    assert BOTH.only_first.signed([5.0]) == (5.0,)


def test_a_recorded_study_names_its_objectives() -> None:
    written = [goal.model_dump() for goal in BOTH]
    assert Objectives.of_definition({"search": {"objective": written}}) == BOTH
    assert Objectives.of_definition({"search": {"objective": written[0]}}) == BOTH.only_first
    assert Objectives.of_definition({"search": None}) == BOTH.only_first


def test_how_many_dominate() -> None:
    assert dominators([1, 1], [[0, 2], [2, 0]]) == 0
    assert dominators([1, 1], [[1, 1]]) == 0
    assert dominators([1, 1], [[1, 0], [0, 0], [1, 2]]) == 2


def test_a_front_keeps_what_nothing_dominates() -> None:
    assert front([(3.0, 1.0), (1.0, 3.0), (2.0, 2.0), (2.5, 2.5), (3.0, 1.5)]) == [1, 2, 0]
    assert front([]) == []


@given(VECTORS)
def test_whatever_is_left_out_is_dominated_by_the_front(vectors: list[tuple[int, int]]) -> None:
    kept = front(vectors)
    assert bool(kept) == bool(vectors)
    for index, vector in enumerate(vectors):
        assert (index in kept) != any(dominates(vectors[other], vector) for other in kept)
