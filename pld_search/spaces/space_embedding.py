"""Points of the values of a space for a model, so that similar values lie close together.

Options that are numbers are placed by their rank, because a list of numbers is usually spaced evenly in its author's
sense. Options that are mappings and differ in numbers only (`layers: 2 | 4 | 6`) are placed by these numbers. All other
options have equal distances. Parameters of different branches with equal domains (for instance a floor at the end in
one branch and at the start in another) share their columns; the choice itself still separates them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pld_search.errors import KeyPath
from pld_search.spaces.domains import Choice, Number, is_domain

Point = tuple[float, ...]
_TEXTS = ("name", "about", "source")


def points_of(domain: Choice, written: Any) -> tuple[Point, ...]:
    """Returns one point for each option, at most 1 apart; `written` is the study's value of `choice`."""
    options = domain.options
    if len(options) > 2 and all(_is_number(each) for each in options):
        order = sorted(options)
        return tuple((order.index(each) / (len(options) - 1),) for each in options)
    if len(options) > 2 and isinstance(written, Mapping):
        by_numbers = _by_numbers([dict(_leaves(branch, ())) for branch in written.values()])
        if by_numbers is not None:
            return by_numbers
    apart = math.sqrt(0.5)
    return tuple(tuple(apart if one is other else 0.0 for other in options) for one in options)


def _by_numbers(branches: Sequence[Mapping[KeyPath, Any]]) -> tuple[Point, ...] | None:
    """Returns points by the numbers that differ between branches; None if anything else differs, or nothing does."""
    names = list(branches[0])
    if any(list(each) != names for each in branches):
        return None
    differing = [name for name in names if len({repr(each[name]) for each in branches}) > 1]
    if not differing or not all(_is_number(each[name]) for each in branches for name in differing):
        return None
    values = np.array([[float(each[name]) for name in differing] for each in branches])
    if (values > 0).all():
        values = np.log(values)
    spread = values.max(axis=0) - values.min(axis=0)
    scaled = (values - values.min(axis=0)) / spread / math.sqrt(len(differing))
    return tuple(tuple(float(each) for each in row) for row in scaled)


def _leaves(tree: Any, name: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if is_domain(tree):
        yield (*name, "domain"), repr(tree)
    elif isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if key not in _TEXTS:
                yield from _leaves(value, (*name, key))
    else:
        yield name, tree


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def first_columns(
    parameters: Sequence[tuple[Choice | Number, tuple[tuple[str, str], ...], str, int]],
) -> dict[str, int]:
    """Returns the first column of each parameter, given as (domain, conditions, name, width), outer ones first.

    The n-th parameter with a domain in one branch of a choice shares its columns with the n-th parameter with an equal
    domain in another branch.
    """
    found: dict[str, int] = {}
    shared: dict[tuple[str, str, int], int] = {}
    seen: Counter[tuple[tuple[str, str], str]] = Counter()
    free = 0
    for domain, conditions, name, width in parameters:
        key, text = None, repr(domain.model_copy(update={"prior": None}))
        if conditions:
            key = (conditions[-1][0], text, seen[conditions[-1], text])
            seen[conditions[-1], text] += 1
        if key in shared:
            found[name] = shared[key]
            continue
        found[name] = free
        if key is not None:
            shared[key] = free
        free += width
    return found
