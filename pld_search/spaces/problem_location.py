"""Moves problems of merged trees to the place and the key where the user wrote the value.

A system's tree is the template with changes on top, closed at one value of every domain. So its
`experiment.optimizer.lr` may stand in the file as `systems.pld.optimizer.lr` or as `experiment.optimizer.lr.log[0]`.
The marks of the values tell which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.specs.yaml_io import Map, Seq, mark_at

Index = dict[Position, list[KeyPath]]


def index_of(tree: Any, path: KeyPath = ()) -> Index:
    """Returns the mark of every value of a file -> the paths it has there (a dotted key makes several)."""
    index: Index = {}
    _fill(index, tree, path)
    return index


def _fill(index: Index, tree: Any, path: KeyPath) -> None:
    if isinstance(tree, Map):
        for key, value in tree.items():
            mark = tree.marks_of(key)[1]
            if mark is not None:
                index.setdefault(mark, []).append((*path, key))
            _fill(index, value, (*path, key))
    elif isinstance(tree, Seq):
        for position, value in enumerate(tree):
            mark = mark_at(tree, (position,))
            if mark is not None:
                index.setdefault(mark, []).append((*path, position))
            _fill(index, value, (*path, position))


def relocated(problem: Problem, tree: Any, root: KeyPath, index: Index) -> Problem:
    """Returns a problem of `tree`, which stands at `root`, with the path under which its value was written."""
    inner = problem.path[len(root) :] if problem.path[: len(root)] == root else problem.path
    held = _existing_part(tree, inner)
    candidates = index.get(mark, []) if (mark := mark_at(tree, held)) is not None and held else []
    if not candidates:
        return problem
    best = max(candidates, key=lambda path: (_common_end(path, held), -len(path)))
    if mark is not None and mark.base and held[:1] == ("schedule",) and _names_a_schedule(best):
        # the value comes from a base: its path continues below the schedule that names the base
        best, held = best[:-1] if best[-1] == "base" else best, held[:1]
    return replace(problem, path=(*best, *inner[len(held) :]))


def _names_a_schedule(path: KeyPath) -> bool:
    """Whether a path holds the name or place of a schedule: `schedule: NAME`, `base: NAME` or a list of names."""
    return path[-1] in ("schedule", "base") or path[-3:-1] == ("schedule", "choice")


def _existing_part(tree: Any, path: KeyPath) -> KeyPath:
    """Returns the longest start of a path that exists in the tree."""
    for length, part in enumerate(path):
        holds = (
            part in tree
            if isinstance(tree, dict)
            else isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        )
        if not holds:
            return path[:length]
        tree = tree[part]
    return path


def _common_end(first: KeyPath, second: KeyPath) -> int:
    count = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        count += 1
    return count


def under(error: ConfigError, path: KeyPath, mark: Position | None = None) -> ConfigError:
    """Returns the problems of a part with the part's path in front, and with `mark` for problems without a mark."""
    return ConfigError([problem.below(path).at(problem.mark or mark) for problem in error.problems])


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Returns each problem once, in the order of the file."""
    once: dict[tuple[Any, ...], Problem] = {}
    for problem in problems:
        once.setdefault((problem.mark or problem.path, problem.message), problem)
    return sorted(once.values(), key=lambda p: (p.mark.file, p.mark.line, p.mark.column) if p.mark else ("", 0, 0))
