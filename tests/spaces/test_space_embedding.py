"""Where values lie for a model: by what the study says of them."""

from __future__ import annotations

import numpy as np
import pytest

from pld_search.spaces.flat_space import FlatSpace
from pld_search.specs.yaml_io import load

TREE = load(
    """
model: {choice: {deep: {layers: 8, hidden: 32}, middle: {layers: 4, hidden: 32}, flat: {layers: 2, hidden: 32}}}
lr: {choice: [4e-3, 1e-3, 2e-3]}
norm: {choice: [pre, post, none]}
shape:
  choice:
    falling: {end: {float: [0.2, 0.6]}, power: {float: [1, 2]}}
    rising: {start: {float: [0.2, 0.6]}}
    none: {}
""",
    "s",
)
SPACE = FlatSpace(TREE)
BASE = {"model": "deep", "lr": 1e-3, "norm": "pre", "shape": "none"}


def apart(**changes: object) -> float:
    """The distance of two configurations that differ by `changes`."""
    one, other = SPACE.encoded([BASE, {**BASE, **changes}])
    return float(np.linalg.norm(one - other))


def test_numbers_lie_by_rank_and_mappings_by_their_numbers() -> None:
    assert apart(lr=2e-3) == pytest.approx(0.5)
    assert apart(lr=4e-3) == pytest.approx(1.0)
    assert apart(model="middle") == pytest.approx(0.5)  # a factor of two of four
    assert apart(model="flat") == pytest.approx(1.0)


def test_what_has_no_order_is_equally_far() -> None:
    assert apart(norm="post") == pytest.approx(1.0)
    assert apart(norm="none") == pytest.approx(1.0)
    assert apart(shape="falling") == pytest.approx(1.0)


def test_equal_domains_of_branches_share_a_column_and_others_do_not() -> None:
    assert list(SPACE.columns) == [0, 1, 2, 2, 2, 3, 3, 3, 4, 5]
    falling = {**BASE, "shape": "falling", "shape.falling.end": 0.3, "shape.falling.power": 1.5}
    rising = {**BASE, "shape": "rising", "shape.rising.start": 0.3}
    one, other, without = SPACE.encoded([falling, rising, BASE])
    assert one[8] == other[8] == pytest.approx(0.25)
    assert without[8] == without[9] == other[9] == 0.5


def test_two_parameters_of_one_branch_never_share() -> None:
    tree = load("s: {choice: {a: {x: {float: [0, 1]}, y: {float: [0, 1]}}, b: {z: {float: [0, 1]}}}}", "s")
    space = FlatSpace(tree)
    (both,) = space.encoded([{"s": "a", "s.a.x": 0.1, "s.a.y": 0.9}])
    (one,) = space.encoded([{"s": "b", "s.b.z": 0.4}])
    assert list(both[-2:]) == [0.1, 0.9]
    assert list(one[-2:]) == [0.4, 0.5]
