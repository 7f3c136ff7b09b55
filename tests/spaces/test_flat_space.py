"""The flat view of a conditional space: conditions are kept, numbers come back, systems are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pld_search.spaces.domains import close, combinations, sample
from pld_search.spaces.flat_space import FlatSpace, key_of
from pld_search.specs.yaml_io import load

TREE = load(
    """
lr: {log: [1e-4, 1e-2]}
layers: {int: [2, 8], step: 2}
norm: {choice: [pre, post]}
schedule:
  choice:
    flat: {name: flat, value: {float: [0.1, 0.9]}}
    rising: {name: rising, end: {float: [0.5, 1.0], step: 0.1}, shape: {choice: {line: {k: 1}, curve: {k: {int: [2, 3]}}}}}
    rate: {name: rate, rate: {log: [10 / run, 1000 / run]}}
""",
    "s",
)
SPACE = FlatSpace(TREE)
POSITIONS = st.lists(st.floats(0, 1, exclude_max=True), min_size=len(SPACE), max_size=len(SPACE))


def test_the_parameters_and_their_conditions() -> None:
    assert {flat.name: flat.conditions for flat in SPACE.parameters} == {
        "lr": (),
        "layers": (),
        "norm": (),
        "schedule": (),
        "schedule.flat.value": (("schedule", "flat"),),
        "schedule.rising.end": (("schedule", "rising"),),
        "schedule.rising.shape": (("schedule", "rising"),),
        "schedule.rising.shape.curve.k": (("schedule", "rising"), ("schedule.rising.shape", "curve")),
        "schedule.rate.rate": (("schedule", "rate"),),
    }


@given(POSITIONS)
def test_a_point_closes_the_tree_and_is_found_again(positions: Sequence[float]) -> None:
    params = SPACE.params_at(positions)
    asked: list[str] = []

    def suggest(name: str, domain: object) -> Any:
        asked.append(name)
        return params[name]

    closed = sample(TREE, suggest)
    assert sorted(asked) == sorted(params)  # nothing is drawn that does not exist
    found = SPACE.find(closed)
    assert found is not None
    assert found.keys() == params.keys()
    for name, value in params.items():
        assert found[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
    again = SPACE.params_at(SPACE.positions(params))
    assert [again[name] for name in params] == [
        pytest.approx(value) if isinstance(value, float) else value for value in params.values()
    ]


@given(POSITIONS)
def test_what_does_not_exist_tells_nothing_apart(positions: Sequence[float]) -> None:
    one = SPACE.params_at(positions)
    flats = SPACE.parameters
    moved = [
        position if flat.exists(one) else 1 - 1e-9 - position for flat, position in zip(flats, positions, strict=True)
    ]
    assert SPACE.params_at([max(0.0, each) for each in moved]) == one
    encoded = SPACE.encoded([one])
    assert encoded.shape == (1, sum(flat.width for flat in flats))
    assert np.all((encoded >= 0) & (encoded <= 1))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"schedule": {"name": "another", "value": 0.5}}, True),
        ({"lr": 1.0}, False),
        ({"layers": 3}, False),
        ({"norm": "sandwich"}, False),
        ({"extra": 1}, False),
        ({"schedule": {"name": "rate", "rate": "100 / run"}}, True),
        ({"schedule": {"name": "rate", "rate": "100 / step"}}, False),
    ],
)
def test_a_system_is_a_point_of_the_space_or_is_not(changes: dict[str, Any], found: bool) -> None:
    system = {"lr": 1e-3, "layers": 4, "norm": "pre", "schedule": {"name": "flat", "value": 0.2}, **changes}
    params = SPACE.find(system)
    assert (params is not None) == found
    if params is not None:
        assert params["lr"] == 1e-3
        assert SPACE.find(close(TREE, params)) == params


def test_keys_of_combinations_are_their_own() -> None:
    tree = load("a: {float: [0, 1], step: 0.1}\nb: {choice: {x: {c: {choice: [1, 2]}}, y: {}}}", "s")
    keys = [key_of(params) for params in combinations(tree)]
    assert len(set(keys)) == len(keys) == 33
