"""What a search says of its parameters, on functions whose shares are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pld_search.search.explanation import explained
from pld_search.search.gaussian_process import GaussianProcess
from pld_search.search.observed_runs import Observed
from pld_search.spaces.flat_space import FlatSpace
from pld_search.specs.yaml_io import load


def learned(tree: str, function: Any, count: int) -> tuple[dict[str, Any], Any]:
    """Explanation by name, and pairs, from `count` random configurations with their values."""
    space = FlatSpace(load(tree, "s"))
    drawn = np.random.default_rng(0).random((count, len(space)))
    configurations = [space.params_at(positions) for positions in drawn]
    seen = Observed.ends(space.encoded(configurations), np.array([function(params) for params in configurations]))
    found = explained(GaussianProcess(seen, space.columns), space, 1.0)
    return {each["name"]: each for each in found["parameters"]}, found["interactions"]


def test_shares_of_a_function_that_is_known() -> None:
    """f = 3 (x - 1/2) + (y - 1/2) + 6 (x - 1/2)(z - 1/2): variances 9/12, 1/12 and 36/144 of a whole of 13/12, so that
    x has 12/13 with what it is part of, z 3/13, y 1/13 and w nothing.
    """
    tree = "x: {float: [0, 1]}\ny: {float: [0, 1]}\nz: {float: [0, 1]}\nw: {float: [0, 1]}"
    found, pairs = learned(
        tree,
        lambda p: 3 * (p["x"] - 0.5) + (p["y"] - 0.5) + 6 * (p["x"] - 0.5) * (p["z"] - 0.5),
        60,
    )
    assert list(found) == ["x", "z", "y", "w"]
    for name, share in (("x", 12 / 13), ("z", 3 / 13), ("y", 1 / 13), ("w", 0.0)):
        assert found[name]["importance"] == pytest.approx(share, abs=0.08)
        assert found[name]["low"] <= found[name]["importance"] <= found[name]["high"]
        assert found[name]["low"] - 0.08 <= share <= found[name]["high"] + 0.08
    assert found["x"]["alone"] == pytest.approx(9 / 13, abs=0.15)
    assert found["z"]["alone"] < 0.1
    assert pairs[0]["names"] == ["x", "z"]
    assert pairs[0]["share"] == pytest.approx(3 / 13, abs=0.08)
    assert pairs[1]["share"] < 0.03


def test_dependence_is_the_mean_over_the_others() -> None:
    found, _ = learned("x: {float: [0, 2]}\ny: {float: [0, 1]}", lambda p: (p["x"] - 1) ** 2 + p["y"], 40)
    at = {round(each["value"], 3): each for each in found["x"]["dependence"]}
    assert len(at) == 9
    assert at[1.0]["mean"] == pytest.approx(0.5, abs=0.05)
    assert at[0.111]["mean"] == pytest.approx(0.5 + 0.889**2, abs=0.1)
    assert all(each["sd"] > 0 for each in at.values())


def test_a_conditional_parameter_counts_where_it_exists() -> None:
    tree = "s: {choice: {a: {x: {float: [0, 1]}}, b: {y: {float: [0, 1]}}, c: {}}}"
    found, pairs = learned(tree, lambda p: 4 * p.get("s.a.x", 0.5) + (2.0 if p["s"] == "b" else 0.0), 80)
    assert {"s", "s.a.x", "s.b.y"} == set(found)
    assert found["s.a.x"]["importance"] > 0.1
    assert found["s.b.y"]["importance"] < 0.05
    values = [each["mean"] for each in found["s.a.x"]["dependence"]]
    assert values == sorted(values)
    assert values[-1] - values[0] == pytest.approx(4 * 8 / 9, abs=0.5)
    assert [each["value"] for each in found["s"]["dependence"]] == ["a", "b", "c"]
    assert set(pairs[0]["names"]) == {"s", "s.a.x"}
