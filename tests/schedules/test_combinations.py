"""The table of combinations, cell by cell: what has a meaning is accepted, what has none is refused with its reason at
its key.
"""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from pld_search.errors import Refused
from pld_search.schedules import combinations
from pld_search.schedules.conventions import Rescale, Skipped
from pld_search.schedules.draw.family import Per, Unit
from tests.schedules.examples import schedule

DRAWS = ("bernoulli", "exact", "lowest")
DEEPSPEED = {"kind": "linear", "index": "(l-1)/L"}
CONVENTIONS = list(itertools.product(DRAWS, get_args(Per), get_args(Unit), get_args(Rescale), get_args(Skipped)))

TEMPORALS: dict[str, dict[str, Any]] = {
    "positive": {"kind": "constant", "value": 0.5},
    "smallest": {"kind": "constant", "value": 2.0**-32},
    "zero": {"kind": "constant", "value": 0.0},
    "to zero": {"kind": "linear", "start": 1.0, "end": 0.0},
    "from zero": {"kind": "exponential", "start": 0.0, "end": 1.0, "rate": "5 / run"},
    "per step": {"kind": "exponential", "start": 1.0, "end": 0.5, "rate": "0.1 / step"},
    "in steps": {"kind": "stages", "stages": {"0 %": 1.0, "300 steps": 0.5}},
    "a stage of zero": {"kind": "stages", "stages": {"0 %": 1.0, "30 %": 0.0, "60 %": 1.0}},
}
NUMBERS = list(itertools.product(TEMPORALS, get_args(Rescale), (None, "1000 steps")))


def _refused(**changes: Any) -> list[tuple[str, str]]:
    """(key, reason) of every refusal; empty for a schedule with a meaning."""
    try:
        made = schedule(**changes)
    except ValidationError as error:
        (only,) = error.errors()
        refused = only["ctx"]["error"]
        assert isinstance(refused, Refused)
        return [(".".join(map(str, path)), why) for path, why, _ in refused.reasons]
    assert combinations.refusals(made) == []
    return []


def _expected(draw: str, per: str, unit: str, rescale: str, skipped: str) -> list[str]:
    """The keys that a cell is refused at, written down a second time and in another way than the table."""
    if draw == "lowest":
        keys = [
            key
            for key, meant in (
                ("draw.per", per == "group"),
                ("draw.unit", unit == "layer"),
                ("rescale", rescale == "none"),
            )
            if not meant
        ]
    else:
        keys = ["draw.per"] if (draw, per) == ("exact", "sequence") else []
    if (unit, rescale) == ("sublayer", "block"):
        keys.append("rescale")
    if rescale == "deepspeed" and (draw, per, unit) != ("bernoulli", "group", "layer"):
        keys.append("rescale")
    if per == "sequence" and skipped != "freeze":
        keys.append("skipped")
    return keys


@pytest.mark.parametrize(("draw", "per", "unit"), sorted({cell[:3] for cell in CONVENTIONS}))
def test_every_cell_of_the_conventions(draw: str, per: str, unit: str) -> None:
    strata = {"strata": 8} if per == "sequence" else {}
    checked = 0
    for cell in CONVENTIONS:
        if cell[:3] == (draw, per, unit):
            changes = {
                "draw": {"kind": draw, "per": per, "unit": unit, **strata},
                "depth": DEEPSPEED,
                "rescale": cell[3],
                "skipped": cell[4],
            }
            assert sorted(key for key, _ in _refused(**changes)) == sorted(_expected(*cell)), cell
            checked += 1
    assert checked == 15


def test_the_size_of_the_table() -> None:
    assert len(CONVENTIONS) == 3 * 2 * 2 * 5 * 3
    assert sum(not _expected(*cell) for cell in CONVENTIONS) == 15 + 9 + 4 + 3 + 12 + 9 + 3


@pytest.mark.parametrize(("temporal", "rescale", "run"), NUMBERS)
def test_every_cell_of_the_numbers(temporal: str, rescale: str, run: str | None) -> None:
    expected = []
    if "zero" in temporal and rescale in ("sublayer", "block", "deepspeed"):
        expected.append(("rescale", "divides by the keep probability"))
    if run is not None and "step" not in temporal:
        expected.append(("run", "has none"))
    found = _refused(temporal=TEMPORALS[temporal], depth=DEEPSPEED, rescale=rescale, run=run)
    assert [key for key, _ in found] == [key for key, _ in expected]
    assert all(word in why for (_, why), (_, word) in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("depth", "refused"),
    [
        (DEEPSPEED, False),
        ({"kind": "linear", "index": "l/L"}, True),
        ({"kind": "linear", "index": "(l-1)/(L-1)"}, True),
        ({**DEEPSPEED, "always": ["last"]}, True),
        ({"kind": "uniform"}, True),
    ],
)
def test_deepspeeds_scale_is_that_of_its_profile(depth: dict[str, Any], refused: bool) -> None:
    assert [key for key, _ in _refused(depth=depth, rescale="deepspeed")] == (["rescale"] if refused else [])


def test_a_table_above_zero_lets_theta_be_zero() -> None:
    zero = {"kind": "constant", "value": 0.0}
    assert _refused(temporal=zero, depth={"kind": "table", "values": [1.0, 0.5]}) == []
    assert [key for key, _ in _refused(temporal=zero, depth={"kind": "table", "values": [1.0, 0.0]})] == ["rescale"]


def test_lowest_runs_the_lowest_whatever_is_named() -> None:
    lowest = {"kind": "lowest", "per": "group", "unit": "layer"}
    found = _refused(draw=lowest, rescale="none", depth={"kind": "uniform", "always": ["last"]})
    assert [key for key, _ in found] == ["depth.always"]


def test_every_row_refuses_something_and_explains_itself() -> None:
    lowest = {"kind": "lowest", "per": "sequence", "unit": "sublayer", "strata": 2}
    sequence = {**lowest, "kind": "exact"}
    hit = {
        why
        for _, why in _refused(draw=lowest, rescale="block", skipped="decay", depth={"kind": "uniform", "always": [1]})
    }
    hit |= {why for _, why in _refused(draw=sequence, rescale="deepspeed", temporal=TEMPORALS["zero"], run="5 steps")}
    assert hit == {row.why for row in combinations.REFUSED}
    assert all(len(why) > 60 for why in hit)


def test_all_reasons_are_named_at_once() -> None:
    with pytest.raises(ValidationError, match=r"divides by.*; `run` fixes"):
        schedule(temporal=TEMPORALS["zero"], run="10 steps")
