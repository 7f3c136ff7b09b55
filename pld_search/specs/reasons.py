"""Reasons against a value as problems at their places in the tree it was written as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pld_search.errors import KeyPath, Mark, Problem, dotted
from pld_search.schedules.refused import Reason
from pld_search.schedules.units import same_quantity
from pld_search.specs.yaml_tree import mark_at, marks_below


def problems_at(tree: Any, reasons: Sequence[Reason]) -> list[Problem]:
    """Reasons against a tree as problems at their places; a key that could be the wrong one just as well is named with its lines."""
    found = []
    for reason in reasons:
        path = as_written(tree, reason.path)
        mark = mark_at(tree, path)
        found.append(Problem(reason.why + also(tree, reason.others, mark), path, mark))
    return found


def also(tree: Any, paths: Iterable[KeyPath], mark: Mark | None) -> str:
    """` (see also draw.kind in line 16, temporal in lines 8-11)`: where else the mistake of a problem at `mark` may be; empty if nowhere."""
    places = []
    for path in paths:
        lines = sorted({place.line for place in marks_below(tree, as_written(tree, path)) if mark is not None and place.file == mark.file})
        if lines and mark is not None and lines != [mark.line]:
            places.append(f"{dotted(path)} in line{f' {lines[0]}' if len(lines) == 1 else f's {lines[0]}-{lines[-1]}'}")
    return f" (see also {', '.join(places)})" if places else ""


def as_written(tree: Any, path: KeyPath) -> KeyPath:
    """A path whose quantities (`30 %`) are spelled as the tree spells them (`30%`)."""
    spelled: list[str | int] = []
    for part in path:
        if isinstance(tree, dict) and part not in tree:
            part = next((key for key in tree if same_quantity(key, part)), part)
        spelled.append(part)
        tree = _child(tree, part)
    return tuple(spelled)


def _child(tree: Any, part: str | int) -> Any:
    if isinstance(tree, dict):
        return tree.get(part)
    return tree[part] if isinstance(tree, list) and isinstance(part, int) and part < len(tree) else None
