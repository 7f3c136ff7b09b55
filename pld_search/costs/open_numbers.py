"""The numbers of a schedule that may be left open as `{saving: ...}`: their paths and the range of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pld_search.errors import KeyPath
from pld_search.schedules.keep_grid import STEPS
from pld_search.specs.tree_changes import paths
from pld_search.specs.yaml_io import Seq

Value = Callable[[float], float | str]
"""Maps a position in [0, 1] to a value of the number. The layers kept by a run are monotone in the position."""

_RATES = 1e-6, 1e6  # e-folds over a run
_POWERS = 1e-2, 1e2


def openings(tree: Any) -> list[KeyPath]:
    """Returns the paths of all `{saving: ...}` mappings of a tree, in the order written; of nested ones the outer."""
    found = list(dict.fromkeys(path[: path.index("saving")] for path in paths(tree) if "saving" in path))
    return [path for path in found if not any(path[: len(other)] == other for other in found if other != path)]


def family_of(path: KeyPath) -> Value | None:
    """Returns the values of the number at `path` of a schedule; None when it cannot be solved for a saving."""
    block, inner = path[:1], path[1:]
    while block == ("temporal",) and inner[:1] == ("phases",) and inner[2:3] == ("temporal",):
        inner = inner[3:]
    if block == ("temporal",) and len(inner) == 1:
        return _NUMBERS.get(inner[0])
    if block == ("temporal",) and inner[:1] in (("stages",), ("points",)) and (len(inner) == 2 or inner[2:] == (1,)):
        return _share
    if block == ("depth",) and len(inner) == 2 and inner[0] == "values":
        return _share
    return _power if path == ("depth", "power") else None


def opened(tree: Any, path: KeyPath, value: Any) -> Any:
    """Returns a copy of the tree with `value` at `path`; marks are kept."""
    if not path:
        return value
    changed: Any = Seq(tree, tree.mark, tree.marks) if isinstance(tree, Seq) else tree.copy()
    changed[path[0]] = opened(tree[path[0]], path[1:], value)
    return changed


def _share(position: float) -> float:
    """Returns a keep rate between one grid step (a rescale divides by it) and 1."""
    return max(position, 1 / STEPS)


def _rate(position: float) -> str:
    """Returns a rate between 1e-6 and 1e6 e-folds over a run, evenly spaced in its logarithm."""
    return f"{_between(_RATES, position)!r} / run"


def _power(position: float) -> float:
    """Returns an exponent between 0.01 and 100, evenly spaced in its logarithm."""
    return min(max(_between(_POWERS, position), _POWERS[0]), _POWERS[1])


def _between(ends: tuple[float, float], position: float) -> float:
    return ends[0] * math.exp(position * math.log(ends[1] / ends[0]))


_NUMBERS: dict[str | int, Value] = {"value": _share, "start": _share, "end": _share, "rate": _rate, "power": _power}
