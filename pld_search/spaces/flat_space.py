"""A tree of domains as a flat list of parameters for a model, each with the choices under which it exists.

A conditional parameter has a value only while its branch is chosen. This module never gives it one otherwise: neither
when it draws points nor when it encodes configurations as numbers.
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
"""A prior's standard deviation as a share of the range, and the log-odds of the prior against another option."""
_TEXTS = ("name", "about", "source")
"""Keys of a schedule that change no run."""


@dataclass(frozen=True, slots=True)
class Flat:
    """One parameter; it exists where every (choice, option) of `conditions` holds.

    embedded: for a choice, the point of each option; points are at most 1 apart (space_embedding.py).
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
        """The number of columns of the parameter: one if its values are ordered, else one for each option."""
        return len(self.embedded[0]) if self.embedded else 1

    def at(self, position: float) -> Any:
        """Returns the value at a position in [0, 1): an option, a point of the grid, or a number on the domain's
        scale.
        """
        values = self.domain.values()
        if values is not None:
            return values[min(int(position * len(values)), len(values) - 1)]
        assert isinstance(self.domain, Number)
        low, high = self.domain.low, self.domain.high
        found = low * (high / low) ** position if self.domain.kind == "log" else low + position * (high - low)
        return min(max(found, low), high)

    def nearest(self, value: Any) -> Any:
        """Returns the nearest point of the grid to a number, for instance 0.0007 for 0.0007000000000000001, a sum of
        floating-point steps. Values without a grid are returned unchanged.
        """
        if isinstance(self.domain, Choice) or self.domain.kind != "float" or self.domain.step is None:
            return value
        low, step = exact(self.domain.low), exact(self.domain.step)
        return float(low + step * round((exact(value) - low) / step))

    @property
    def expected(self) -> float | None:
        """The position believed to be the best; None without a prior."""
        if self.domain.prior is None:
            return None
        if isinstance(self.domain, Choice):
            return (self.domain.options.index(self.domain.prior) + 0.5) / len(self.domain.options)
        return min(self.position(self.domain.prior), math.nextafter(1.0, 0.0))

    def believed(self, value: Any) -> float:
        """Returns the log-belief that the best configuration has this value: 0 at the prior, and 0 without a prior."""
        if self.domain.prior is None:
            return 0.0
        if isinstance(self.domain, Choice):
            return 0.0 if value == self.domain.prior else -_OTHER_OPTION
        return -0.5 * ((self.position(float(value)) - self.position(self.domain.prior)) / _WIDTH) ** 2

    def point(self, value: Any) -> tuple[float, ...]:
        """Returns a value as `width` numbers."""
        if isinstance(self.domain, Choice):
            return self.embedded[self.domain.options.index(value)]
        return (self.position(float(value)),)

    def position(self, value: float) -> float:
        """Returns the position of a number between the bounds, in [0, 1], on the domain's scale."""
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
        """Returns the same configuration with every number of a grid replaced by the exact grid point."""
        return {flat.name: flat.nearest(params[flat.name]) for flat in self.parameters if flat.name in params}

    def params_at(self, positions: Iterable[float]) -> dict[str, Any]:
        """Returns the configuration at one position in [0, 1) for each parameter; parameters that do not exist are
        skipped.
        """
        params: dict[str, Any] = {}
        for flat, position in zip(self.parameters, positions, strict=True):
            if flat.exists(params):
                params[flat.name] = flat.at(float(position))
        return params

    def completed(self, given: Mapping[str, Any], positions: Iterable[float]) -> dict[str, Any]:
        """Returns the configuration with the values `given`; all other parameters are read at `positions`."""
        params: dict[str, Any] = {}
        for flat, position in zip(self.parameters, positions, strict=True):
            if flat.exists(params):
                params[flat.name] = given.get(flat.name, flat.at(float(position)))
        return params

    def expected(self) -> dict[str, Any]:
        """Returns the values believed to be the best, for the parameters with a prior."""
        return {flat.name: flat.at(flat.expected) for flat in self.parameters if flat.expected is not None}

    def believed(self, params: Mapping[str, Any]) -> float:
        """Returns the log-belief that a configuration is the best, up to a constant."""
        return sum(flat.believed(params[flat.name]) for flat in self.parameters if flat.name in params)

    def positions(self, params: Mapping[str, Any]) -> list[float]:
        """Inverts `params_at`, up to grids; a parameter that does not exist has the position 0.5."""
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
        """The group of parameters of each column of `encoded`, counted from 0."""
        groups = list(dict.fromkeys(self._first.values()))
        widths = [next(flat.width for flat in self.parameters if self._first[flat.name] == each) for each in groups]
        return np.repeat(np.arange(len(groups)), widths)

    def encoded(self, configurations: Sequence[Mapping[str, Any]]) -> Floats:
        """Encodes configurations as numbers, (n, columns): a number by its position, an option by its point.

        Parameters of different branches of one choice share columns if their domains are equal. A parameter that does
        not exist has the same value in every configuration without it: the middle of its domain. So two configurations
        differ by the choice itself, and by the parameters of their branches.
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
        """Returns the parameters at which the tree closes to `closed`; None if there are none.

        A written system is a point of the search's space if it differs from the tree in domains only. Names and texts
        of schedules are ignored, because they change no run.
        """
        return _find(self._tree, plain(closed), ())


def key_of(params: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Returns a key that is equal for equal configurations: names and values, with numbers to ten digits, because a
    grid point may be a rounded sum.
    """
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
    """Returns the value of a number domain that is written as `closed`; None if there is none."""
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
    """Whether two values are equal. A truth value is not a number; numbers of different types may be equal."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
