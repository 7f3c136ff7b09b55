"""A tree of domains as a flat list of parameters, each with the choices under which it exists: where a model searches.

A conditional parameter has a value in a configuration only while the branch that holds it is chosen. Here it never gets
one otherwise, neither when points are drawn nor when configurations are turned into numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pld_search.errors import KeyPath, dotted
from pld_search.schedules.units import exact, split
from pld_search.spaces.domains import Choice, Number, is_domain, read
from pld_search.spaces.space_embedding import first_columns, points_of
from pld_search.specs.yaml_io import plain

Floats = NDArray[np.float64]
_WIDTH, _OTHER_OPTION = 0.2, math.log(4.0)
"""A prior's deviation, as a share of the range, and by how much (logarithm) another option is believed less."""
_TEXTS = ("name", "about", "source")
"""Keys of a schedule that change no run."""


@dataclass(frozen=True, slots=True)
class Flat:
    """One parameter; it exists where every (choice, option) of `conditions` holds.

    embedded: of a choice the point of each option, at most 1 apart (space_embedding.py).
    """

    name: str
    domain: Choice | Number
    conditions: tuple[tuple[str, str], ...]
    embedded: tuple[tuple[float, ...], ...] = ()

    def exists(self, params: Mapping[str, Any]) -> bool:
        """Whether the choices in `params` lead to this parameter."""
        return all(params.get(choice) == option for choice, option in self.conditions)

    @property
    def width(self) -> int:
        """Columns of its numbers: one where its values have an order, else one an option."""
        return len(self.embedded[0]) if self.embedded else 1

    def at(self, position: float) -> Any:
        """The value at a position in [0, 1): an option, a point of the grid, or a number by the domain's own scale."""
        values = self.domain.values()
        if values is not None:
            return values[min(int(position * len(values)), len(values) - 1)]
        assert isinstance(self.domain, Number)
        low, high = self.domain.low, self.domain.high
        found = low * (high / low) ** position if self.domain.kind == "log" else low + position * (high - low)
        return min(max(found, low), high)

    def nearest(self, value: Any) -> Any:
        """The point of the grid next to a number: 0.0007 for 0.0007000000000000001, which is a sum of steps in floating
        point. Anything else stays as it is.
        """
        if isinstance(self.domain, Choice) or self.domain.kind != "float" or self.domain.step is None:
            return value
        low, step = exact(self.domain.low), exact(self.domain.step)
        return float(low + step * round((exact(value) - low) / step))

    @property
    def expected(self) -> float | None:
        """The position at which the best is believed to lie; None where nothing is known."""
        if self.domain.prior is None:
            return None
        if isinstance(self.domain, Choice):
            return (self.domain.options.index(self.domain.prior) + 0.5) / len(self.domain.options)
        return min(self.position(self.domain.prior), math.nextafter(1.0, 0.0))

    def believed(self, value: Any) -> float:
        """The logarithm of the belief that the best has this value, 0 at the prior itself and where there is none."""
        if self.domain.prior is None:
            return 0.0
        if isinstance(self.domain, Choice):
            return 0.0 if value == self.domain.prior else -_OTHER_OPTION
        return -0.5 * ((self.position(float(value)) - self.position(self.domain.prior)) / _WIDTH) ** 2

    def point(self, value: Any) -> tuple[float, ...]:
        """A value as `width` numbers."""
        if isinstance(self.domain, Choice):
            return self.embedded[self.domain.options.index(value)]
        return (self.position(float(value)),)

    def position(self, value: float) -> float:
        """Where a number lies between the bounds, in [0, 1], by the domain's own scale."""
        assert isinstance(self.domain, Number)
        low, high = self.domain.low, self.domain.high
        if low == high:
            return 0.5
        if self.domain.kind == "log":
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


class FlatSpace:
    """The parameters of a tree, outer ones first."""

    def __init__(self, tree: Any) -> None:
        self._tree = plain(tree)
        self.parameters = tuple(_flat(tree, (), ()))
        self._first = first_columns([(flat.domain, flat.conditions, flat.name, flat.width) for flat in self.parameters])

    def __len__(self) -> int:
        return len(self.parameters)

    def on_grids(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The same configuration with every number of a grid as the grid says it."""
        return {flat.name: flat.nearest(params[flat.name]) for flat in self.parameters if flat.name in params}

    def params_at(self, positions: Iterable[float]) -> dict[str, Any]:
        """The configuration at one position in [0, 1) a parameter; positions of what does not exist are passed over."""
        params: dict[str, Any] = {}
        for flat, position in zip(self.parameters, positions, strict=True):
            if flat.exists(params):
                params[flat.name] = flat.at(float(position))
        return params

    def completed(self, given: Mapping[str, Any], positions: Iterable[float]) -> dict[str, Any]:
        """The configuration with the values `given`, what they leave open at `positions`."""
        params: dict[str, Any] = {}
        for flat, position in zip(self.parameters, positions, strict=True):
            if flat.exists(params):
                params[flat.name] = given.get(flat.name, flat.at(float(position)))
        return params

    def expected(self) -> dict[str, Any]:
        """The values at which the best is believed to lie, of the parameters that have a prior."""
        return {flat.name: flat.at(flat.expected) for flat in self.parameters if flat.expected is not None}

    def believed(self, params: Mapping[str, Any]) -> float:
        """The logarithm of the belief that a configuration is the best, up to a constant."""
        return sum(flat.believed(params[flat.name]) for flat in self.parameters if flat.name in params)

    def positions(self, params: Mapping[str, Any]) -> list[float]:
        """The inverse of `params_at`, up to grids; the middle for what does not exist."""
        found = []
        for flat in self.parameters:
            if flat.name not in params:
                found.append(0.5)
            elif isinstance(flat.domain, Choice):
                found.append((flat.domain.options.index(params[flat.name]) + 0.5) / len(flat.domain.options))
            else:
                found.append(min(flat.position(float(params[flat.name])), math.nextafter(1.0, 0.0)))
        return found

    @property
    def columns(self) -> NDArray[np.intp]:
        """Which group of parameters each column of `encoded` belongs to, counted from 0."""
        groups = list(dict.fromkeys(self._first.values()))
        widths = [next(flat.width for flat in self.parameters if self._first[flat.name] == each) for each in groups]
        return np.repeat(np.arange(len(groups)), widths)

    def encoded(self, configurations: Sequence[Mapping[str, Any]]) -> Floats:
        """Configurations as numbers, (n, columns): a number by its position, an option by its point.

        Parameters of different branches of one choice share their columns where their domains are equal. What does not
        exist has the same value in every configuration that lacks it: the middle of its domain. Two configurations so
        differ by the choice itself, and by what each has instead of the other.
        """
        found = np.empty((len(configurations), len(self.columns)))
        for flat in self.parameters:
            column = self._first[flat.name]
            found[:, column : column + flat.width] = np.mean(flat.embedded, axis=0) if flat.embedded else 0.5
        for flat in self.parameters:
            column = self._first[flat.name]
            for row, params in enumerate(configurations):
                if flat.name in params:
                    found[row, column : column + flat.width] = flat.point(params[flat.name])
        return found

    def find(self, closed: Any) -> dict[str, Any] | None:
        """The parameters at which the tree closes to `closed`; None where it does so at none.

        What a system was written with is a point of the search's space where nothing but domains tells the two apart;
        names and texts of schedules are passed over, for they change no run.
        """
        return _find(self._tree, plain(closed), ())


def key_of(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """What makes two configurations one: names and values, numbers to ten digits, for a grid may be summed up."""
    return tuple(
        sorted((name, float(f"{value:.10g}") if isinstance(value, float) else value) for name, value in params.items())
    )


def _flat(tree: Any, name: KeyPath, conditions: tuple[tuple[str, str], ...]) -> Iterator[Flat]:
    if is_domain(tree):
        domain = read(tree)
        yield Flat(
            dotted(name), domain, conditions, points_of(domain, tree["choice"]) if isinstance(domain, Choice) else ()
        )
        branches = tree.get("choice")
        if isinstance(branches, dict):
            for option, branch in branches.items():
                yield from _flat(branch, (*name, option), (*conditions, (dotted(name), option)))
    elif isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _flat(value, (*name, key), conditions)


def _find(tree: Any, closed: Any, name: KeyPath) -> dict[str, Any] | None:
    if is_domain(tree):
        return _find_in_domain(tree, closed, name)
    if isinstance(tree, dict) and isinstance(closed, dict):
        texts = _TEXTS if "schedule" in name[-2:] else ()
        if {*tree} - {*texts} != {*closed} - {*texts}:
            return None
        return _together([_find(value, closed[key], (*name, key)) for key, value in tree.items() if key not in texts])
    if isinstance(tree, list) and isinstance(closed, list) and len(tree) == len(closed):
        return _together([_find(value, closed[index], (*name, index)) for index, value in enumerate(tree)])
    return {} if _same(tree, closed) else None


def _find_in_domain(tree: Any, closed: Any, name: KeyPath) -> dict[str, Any] | None:
    domain, key = read(tree), dotted(name)
    if isinstance(tree.get("choice"), dict):
        for option, branch in tree["choice"].items():
            inner = _find(branch, closed, (*name, option))
            if inner is not None:
                return {key: option, **inner}
        return None
    if isinstance(domain, Choice):
        return next(({key: option} for option in domain.options if _same(option, closed)), None)
    number = _number(domain, closed)
    return None if number is None else {key: number}


def _number(domain: Number, closed: Any) -> int | float | None:
    """The value of a number's domain that is written as `closed`."""
    try:
        amount, unit = split(closed)
    except (ValueError, TypeError):
        return None
    value: int | float = int(amount) if domain.kind == "int" and amount == int(amount) else float(amount)
    if unit != domain.unit or not domain.holds(value):
        return None
    step = domain.step or (1 if domain.kind == "int" else None)
    off_grid = step is not None and (exact(value) - exact(domain.low)) % exact(step) != 0
    return None if off_grid else value


def _together(parts: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for part in parts:
        if part is None:
            return None
        found |= part
    return found


def _same(one: Any, other: Any) -> bool:
    """Equal values; a truth value is no number, and a number equals one of another type."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
