"""The examples in the docstrings are true, and every family has one, with its source."""

from __future__ import annotations

import doctest
import sys
from typing import get_args

import pytest

from pld_search.schedules import depth, draw, temporal

FAMILIES = [
    *get_args(get_args(temporal.Temporal)[0]),
    *get_args(get_args(depth.Depth)[0]),
    *get_args(get_args(draw.Draw)[0]),
]


def _name(family: type) -> str:
    return f"{family.__module__}.{family.__name__}"


def test_there_are_families() -> None:
    assert len(FAMILIES) == 9 + 6 + 3


@pytest.mark.parametrize("family", FAMILIES, ids=_name)
def test_the_example_of_every_family(family: type) -> None:
    result = doctest.testmod(sys.modules[family.__module__])
    assert result.failed == 0
    assert result.attempted > 0
    assert ">>>" in (family.__doc__ or "")
    assert "Source: " in (family.__doc__ or "")


@pytest.mark.parametrize("family", FAMILIES, ids=_name)
def test_every_key_is_described(family: type) -> None:
    fields = family.model_fields  # type: ignore[attr-defined]
    assert all(field.description for name, field in fields.items() if name != "kind")
