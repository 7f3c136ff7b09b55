from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pld_search.search.successive_halving import last_promotion, next_promotion, promotable

VALUES = st.lists(st.floats(0, 10).map(lambda x: round(x, 1)), min_size=1, max_size=40)


@given(VALUES, st.integers(2, 5))
def test_never_more_than_one_of_eta_are_promoted_and_only_from_the_top(values: list[float], eta: int) -> None:
    arrived: dict[int, float] = {}
    promoted: list[int] = []
    for number, value in enumerate(values):
        arrived[number] = value
        while (found := promotable(arrived, promoted, eta)) is not None:
            quota = len(arrived) // eta
            assert sum(other < arrived[found] for other in arrived.values()) < quota
            assert found not in promoted
            promoted.append(found)
        assert len(promoted) <= len(arrived) // eta
    if values == sorted(values):  # who comes best comes first: then exactly the quota went on
        assert promoted == list(range(len(values) // eta))


@given(VALUES, st.integers(2, 4), st.integers(1, 3))
def test_a_whole_search_brings_somebody_to_the_end_at_a_bounded_cost(values: list[float], eta: int, count: int) -> None:
    rungs: list[dict[int, float]] = [{} for _ in range(count)]
    gone: list[set[int]] = [set() for _ in range(count)]
    waiting: set[int] = set()
    finished = 0

    def send(number: int) -> None:
        nonlocal finished
        level = max(rung for rung in range(count) if number in rungs[rung])
        gone[level].add(number)
        if level + 1 < count:
            rungs[level + 1][number] = values[number]
        else:
            waiting.discard(number)
            finished += 1

    for number, value in enumerate(values):
        rungs[0][number] = value
        waiting.add(number)
        while (found := next_promotion(rungs, gone, waiting, eta)) is not None:
            send(found)
    while (found := last_promotion(rungs, gone, waiting)) is not None:
        send(found)
    assert finished >= 1
    for arrived, sent in zip(rungs, gone, strict=True):
        assert 1 <= len(sent) <= max(1, len(arrived) // eta)
    assert next_promotion(rungs, gone, waiting, eta) is None


def test_the_highest_rung_is_served_first_and_age_breaks_a_tie() -> None:
    rungs = [{0: 1.0, 1: 2.0, 2: 3.0, 3: 0.5}, {0: 1.0, 1: 2.0}]
    assert next_promotion(rungs, [{0, 1}, set()], {0, 1, 2, 3}, 2) == 0
    both = [{0: 1.0, 1: 2.0, 2: 3.0, 3: 0.5, 4: 4.0, 5: 5.0}, {0: 1.0, 1: 2.0}]
    assert next_promotion(both, [{0, 1}, set()], {0, 1, 2, 3, 4, 5}, 2) == 0  # though trial 3 is due at the lower one
    assert next_promotion(both, [{0, 1}, {0}], {1, 2, 3, 4, 5}, 2) == 3
    assert promotable({4: 1.0, 2: 1.0, 3: 1.0}, [], 3) == 2
    assert promotable({4: 1.0, 2: 1.0}, [], 3) is None
