from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pld_search.errors import KeyPath, Position, Problem, Reason, below

PATHS = st.lists(st.one_of(st.text("ab", min_size=1, max_size=3), st.integers(0, 9)), max_size=4).map(tuple)
MARK = Position("study.yaml", 3, 7)


@given(PATHS, PATHS, PATHS)
def test_paths_compose_in_any_order_of_steps(outer: KeyPath, inner: KeyPath, own: KeyPath) -> None:
    problem = Problem("out of range", own, MARK, allowed="1 .. 9", given="0", suggestion="one")
    whole = problem.below((*outer, *inner))
    assert whole == problem.below(inner).below(outer)
    assert whole.path == (*outer, *inner, *own)
    assert whole.at(None).at(MARK) == whole
    assert (whole.message, whole.mark, whole.allowed, whole.given, whole.suggestion) == (
        "out of range",
        MARK,
        "1 .. 9",
        "0",
        "one",
    )


def test_a_problem_is_read_with_its_place_and_its_path() -> None:
    problem = Problem("out of range", ("steps",), given="0").below(("experiment", 2)).at(MARK)
    assert str(problem) == "study.yaml:3:7: experiment[2].steps: out of range; given: 0"
    assert str(problem.at(None)) == "experiment[2].steps: out of range; given: 0"


def test_reasons_move_with_the_keys_that_could_be_wrong_as_well() -> None:
    reason = Reason(("rate",), "too large", (("kind",), ("stages", 0)))
    assert below(("temporal",), [reason]) == [
        Reason(("temporal", "rate"), "too large", (("temporal", "kind"), ("temporal", "stages", 0)))
    ]
