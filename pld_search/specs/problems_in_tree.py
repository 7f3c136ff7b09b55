"""Turns reasons against a value into problems at their places in the tree from which the value was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pld_search.errors import KeyPath, Position, Problem, Reason, dotted
from pld_search.schedules.units import same_quantity
from pld_search.specs.tree_changes import paths as leaves
from pld_search.specs.yaml_io import mark_at, marks_below, value_at


def problems_at(tree: Any, reasons: Sequence[Reason]) -> list[Problem]:
    """Turns reasons against a tree into problems at their places. Each problem also names the lines of other keys that
    may be the mistake.

    Values that come from a base are valid by themselves. If such a value clashes with a change on top of the base, the
    problem is placed at that change.
    """
    found = []
    for reason in reasons:
        path = as_written(tree, reason.path)
        mark = blamed(tree, path)
        changed = _changed(tree, reason.others) if mark is not None and mark.base else None
        if changed is None:
            found.append(Problem(reason.why + also(tree, reason.others, mark), path, mark))
        else:
            found.append(Problem(f"{reason.why} (see also {dotted(path)} of {mark.base if mark else ''})", *changed))
    return found


def blamed(tree: Any, path: KeyPath) -> Position | None:
    """Returns where the value at `path` was written. For a value from a base it is the first change inside the
    value.
    """
    mark = mark_at(tree, path)
    own = _own_marks(tree, path) if mark is not None and mark.base else []
    return own[0] if own else mark


def _own_marks(tree: Any, path: KeyPath) -> list[Position]:
    """Returns the marks at `path` and inside it that do not come from a base."""
    return [mark for mark in marks_below(tree, as_written(tree, path)) if not mark.base]


def _changed(tree: Any, paths: Iterable[KeyPath]) -> tuple[KeyPath, Position] | None:
    """Returns the first of these keys, or of the keys inside them, that changes a value from a base."""
    for path in paths:
        for leaf in leaves(value_at(tree, path), path) if marks_below(tree, path) else ():
            mark = mark_at(tree, leaf)
            if mark is not None and not mark.base:
                return leaf, mark
    return None


def also(tree: Any, paths: Iterable[KeyPath], mark: Position | None) -> str:
    """Returns ` (see also draw.kind in line 16, temporal in lines 8-11)`: other places that may hold the mistake of a
    problem at `mark`. The text is empty if there are none.
    """
    places = []
    for path in paths:
        marks = marks_below(tree, as_written(tree, path))
        lines = sorted(
            {place.line for place in marks if mark is not None and place.file == mark.file and not place.base}
        )
        if lines and mark is not None and lines != [mark.line]:
            places.append(f"{dotted(path)} in line{f' {lines[0]}' if len(lines) == 1 else f's {lines[0]}-{lines[-1]}'}")
    return f" (see also {', '.join(places)})" if places else ""


def as_written(tree: Any, path: KeyPath) -> KeyPath:
    """Returns a path with its quantities (`30 %`) spelled as in the tree (`30%`)."""
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
