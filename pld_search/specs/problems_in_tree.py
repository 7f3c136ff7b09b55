"""Reasons against a value as problems at their places in the tree it was written as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pld_search.errors import KeyPath, Position, Problem, Reason, dotted
from pld_search.schedules.units import same_quantity
from pld_search.specs.tree_changes import paths as leaves
from pld_search.specs.yaml_io import mark_at, marks_below, value_at


def problems_at(tree: Any, reasons: Sequence[Reason]) -> list[Problem]:
    """Reasons against a tree as problems at their places; a key that could be the wrong one just as well is named with
    its lines.

    What a base brought with it is right by itself: the problem then stands at the change of it that could be the wrong
    one.
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
    """Where the value at `path` was written; of one that a base brought with it, the first change inside it."""
    mark = mark_at(tree, path)
    own = _own_marks(tree, path) if mark is not None and mark.base else []
    return own[0] if own else mark


def _own_marks(tree: Any, path: KeyPath) -> list[Position]:
    """The marks at `path` and inside it of what no base brought."""
    return [mark for mark in marks_below(tree, as_written(tree, path)) if not mark.base]


def _changed(tree: Any, paths: Iterable[KeyPath]) -> tuple[KeyPath, Position] | None:
    """The first of these keys, or of those inside them, that changes what a base brought."""
    for path in paths:
        for leaf in leaves(value_at(tree, path), path) if marks_below(tree, path) else ():
            mark = mark_at(tree, leaf)
            if mark is not None and not mark.base:
                return leaf, mark
    return None


def also(tree: Any, paths: Iterable[KeyPath], mark: Position | None) -> str:
    """` (see also draw.kind in line 16, temporal in lines 8-11)`: where else the mistake of a problem at `mark` may be;
    empty if nowhere.
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
