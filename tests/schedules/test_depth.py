"""Depth families: the three index conventions by hand, and what every member promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pld_search.frozen import canonical_json
from pld_search.schedules.depth import (
    AlternateDepth,
    Depth,
    DepthTable,
    ExponentialDepth,
    LinearDepth,
    PolynomialDepth,
    UniformDepth,
)
from tests.schedules.examples import INDICES

FALLING = [
    UniformDepth(),
    *(LinearDepth(index=index) for index in INDICES),
    PolynomialDepth(index="l/L", power=2.0),
    PolynomialDepth(index="(l-1)/(L-1)", power=0.5),
    ExponentialDepth(),
]
MEMBERS = [
    *FALLING,
    AlternateDepth(layers="even"),
    AlternateDepth(layers="odd"),
    UniformDepth(always=("first", "last")),
    LinearDepth(index="l/L", always=(1, "last")),
    PolynomialDepth(index="(l-1)/L", power=3.0, always=("last",)),
    ExponentialDepth(always=(1,)),
    AlternateDepth(layers="odd", always=("first",)),
]


@pytest.mark.parametrize("family", MEMBERS, ids=repr)
class TestEveryFamily:
    def test_shape_for_any_theta(self, family: Any) -> None:
        for shape in ((), (3,), (2, 5)):
            assert family.keep(np.full(shape, 0.4), 7).shape == (*shape, 7)

    @settings(deadline=None, max_examples=30)
    @given(theta=st.floats(0, 1), layers=st.integers(1, 60))
    def test_no_layer_has_less_than_theta(self, family: Any, theta: float, layers: int) -> None:
        keep = family.keep(np.array(theta), layers)
        assert (keep >= theta - 1e-15).all()
        assert (keep <= 1).all()
        assert keep.min() >= family.least(theta) - 1e-15
        assert family.misfits(layers) == []

    def test_theta_decides(self, family: Any) -> None:
        keep = family.keep(np.linspace(0, 1, 11), 6)
        assert (np.diff(keep, axis=0) >= 0).all()
        assert (np.diff(keep.sum(axis=-1)) > 0).all()

    def test_full_depth_at_theta_one(self, family: Any) -> None:
        assert (family.keep(np.array(1.0), 12) == 1.0).all()

    def test_round_trip(self, family: Any) -> None:
        assert TypeAdapter(Depth).validate_json(canonical_json(family)) == family
        assert ("always" in family.model_dump()) == (family.always is not None)

    def test_always_is_never_dropped(self, family: Any) -> None:
        keep = family.keep(np.array([0.3, 0.0]), 5)
        for layer in family.always or ():
            assert (keep[:, {"first": 0, "last": 4}.get(layer, 0)] == 1.0).all()


@settings(deadline=None, max_examples=60)
@given(family=st.sampled_from(FALLING), theta=st.floats(0, 1), layers=st.integers(1, 60))
def test_deeper_is_never_more(family: Any, theta: float, layers: int) -> None:
    assert (np.diff(family.keep(np.array(theta), layers)) <= 0).all()


@pytest.mark.parametrize(
    ("family", "keep"),
    [
        (PolynomialDepth(index="l/L", power=2.0), [1 - 0.5 / 16, 1 - 0.5 / 4, 1 - 0.5 * 9 / 16, 0.5]),
        (PolynomialDepth(index="(l-1)/(L-1)", power=1.0), [1.0, 5 / 6, 4 / 6, 0.5]),
        (ExponentialDepth(), [1.0, 1 - 0.5 * (2 ** (1 / 3) - 1), 1 - 0.5 * (2 ** (2 / 3) - 1), 0.5]),
        (AlternateDepth(layers="even"), [1.0, 0.5, 1.0, 0.5]),
        (AlternateDepth(layers="odd"), [0.5, 1.0, 0.5, 1.0]),
        (DepthTable(values=(1.0, "80 %", 0.5, 0.0)), [1.0, 0.9, 0.75, 0.5]),
        (UniformDepth(always=("first", 3)), [1.0, 0.5, 1.0, 0.5]),
        (LinearDepth(index="l/L", always=("last",)), [0.875, 0.75, 0.625, 1.0]),
    ],
    ids=repr,
)
def test_values_at_theta_one_half(family: Any, keep: list[float]) -> None:
    assert family.keep(np.array(0.5), 4) == pytest.approx(keep, abs=1e-15)


def test_a_table_may_stay_above_zero_where_theta_does_not() -> None:
    table = DepthTable(values=(0.5, 0.25))
    assert table.keep(np.array(0.0), 2).tolist() == [0.5, 0.25]
    assert table.least(0.0) == 0.25
    assert TypeAdapter(Depth).validate_json(canonical_json(table)) == table


def by_kind(**values: Any) -> DepthTable:
    return DepthTable.model_validate({"kind": "table", **values})


def test_a_table_by_kind_of_layer() -> None:
    table = by_kind(**{"global": "100 %", "local": "50 %", "global_every": 3})
    assert table.keep(np.array(0.5), 7).tolist() == [1.0, 0.75, 0.75, 1.0, 0.75, 0.75, 1.0]
    assert table.least(0.0) == 0.5 and not table.misfits(7) and not table.misfits(2)
    assert TypeAdapter(Depth).validate_json(canonical_json(table)) == table
    assert table.model_dump() == {"kind": "table", "global": 1.0, "local": 0.5, "global_every": 3}


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "all of `global`, `local` and `global_every`"),
        ({"global": 1.0}, "`local` and `global_every` missing"),
        ({"local": 0.5, "global_every": 3}, "`global` missing"),
        ({"values": [1.0], "local": 0.5}, "beside `values`"),
    ],
)
def test_a_table_has_one_form(values: dict[str, Any], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        by_kind(**values)


@pytest.mark.parametrize(
    ("family", "path", "why"),
    [
        (UniformDepth(always=(1, 13)), ("always", 1), "no layer 13 in a model of 12 layers"),
        (DepthTable(values=(1.0, 0.5)), ("values",), "a table of 2 layers"),
    ],
)
def test_what_is_not_for_this_model(family: Any, path: tuple[Any, ...], why: str) -> None:
    ((found, reason, _),) = family.misfits(12)
    assert found == path
    assert why in reason


@pytest.mark.parametrize(("index", "kept"), [("l/L", 8.75), ("(l-1)/L", 9.25), ("(l-1)/(L-1)", 9.0)])
def test_expected_layers_of_the_three_conventions(index: Any, kept: float) -> None:
    assert LinearDepth(index=index).keep(np.array(0.5), 12).sum() == pytest.approx(kept, abs=1e-12)


@pytest.mark.parametrize(
    ("index", "first", "last"),
    [("l/L", 1 - 0.5 / 12, 0.5), ("(l-1)/L", 1.0, 1 - 0.5 * 11 / 12), ("(l-1)/(L-1)", 1.0, 0.5)],
)
def test_the_first_and_the_last_layer(index: Any, first: float, last: float) -> None:
    keep = LinearDepth(index=index).keep(np.array(0.5), 12)
    assert keep[[0, -1]] == pytest.approx([first, last], abs=1e-15)


@pytest.mark.parametrize(("index", "only"), [("l/L", 0.5), ("(l-1)/L", 1.0), ("(l-1)/(L-1)", 1.0)])
def test_one_layer(index: Any, only: float) -> None:
    assert LinearDepth(index=index).keep(np.array(0.5), 1).tolist() == [only]


@pytest.mark.parametrize(
    "tree",
    [
        {"kind": "linear"},
        {"kind": "linear", "index": "i/N"},
        {"kind": "uniform", "index": "l/L"},
        {"kind": "alternate"},
        {"kind": "alternate", "layers": "all"},
        {"kind": "polynomial", "index": "l/L"},
        {"kind": "polynomial", "index": "l/L", "power": -1},
        {"kind": "exponential", "index": "l/L"},
        {"kind": "table", "values": []},
        {"kind": "table", "values": [1.2]},
        {"kind": "uniform", "always": []},
        {"kind": "uniform", "always": [0]},
        {"kind": "uniform", "always": ["middle"]},
        {"kind": "uniform", "always": [True]},
        {},
    ],
)
def test_what_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Depth).validate_python(tree)
