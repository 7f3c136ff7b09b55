"""The order of questions: systems, tuning in turn, then the search; the same for coordinator and plan."""

from __future__ import annotations

from collections import Counter

from pld_search.spaces.asking_order import Place, next_place, trial_numbers
from pld_search.spaces.study import Budget, Search, Study, System
from pld_search.specs.yaml_io import Map

EMPTY = Map()


def study(*tunes: int | None, trials: int | None = 2) -> Study:
    systems = tuple(System(name=f"s{i}", tree=EMPTY, changes=EMPTY, tune=tune) for i, tune in enumerate(tunes))
    search = Search(trials=trials) if trials else None
    return Study(name="s", experiment=EMPTY, budget=Budget(steps=1), systems=systems, search=search)


def order(of: Study) -> list[Place]:
    asked: Counter[Place] = Counter()
    found = []
    while (place := next_place(of, asked)) is not None:
        found.append(place)
        asked[place] += 1
    return found


def test_systems_then_tuning_in_turn_then_the_search() -> None:
    assert order(study(3, None, 1)) == [
        ("system", "s1"),
        ("tuning", "s0"),
        ("tuning", "s2"),
        ("tuning", "s0"),
        ("tuning", "s0"),
        ("sampled", None),
        ("sampled", None),
    ]
    assert trial_numbers(study(3, None, 1)) == {"s1": [0], "s0": [1, 3, 4], "s2": [2]}


def test_a_study_of_one_run() -> None:
    assert order(study(trials=None)) == [("system", None)]
    assert trial_numbers(study(trials=None)) == {None: [0]}
    assert trial_numbers(study()) == {}


def test_an_exhausted_space_is_passed_over() -> None:
    asked: Counter[Place] = Counter({("tuning", "s0"): 1})
    of = study(3, 3)
    assert next_place(of, asked, lambda system: system == "s1") == ("tuning", "s0")
    assert next_place(of, asked, lambda system: system is not None) == ("sampled", None)
    assert next_place(of, asked, lambda system: system != "nobody") is None
