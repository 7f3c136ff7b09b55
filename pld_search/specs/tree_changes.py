"""Changes to a tree: dotted keys, deep merges and `--set`, with one rule for schedules, systems and the command
line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.specs.yaml_io import Map, Seq, copied, load_value, remarked

SET_FILE = "--set"
DOMAINS = frozenset({"choice", "float", "log", "int"})
"""A mapping with one of these keys is a domain: it counts as one value and is replaced as a whole."""
_VALUES = DOMAINS | {"saving"}
_FORMS = frozenset({"text", "hub", "from"})
_DOT = re.compile(r"(?<![0-9])\.|\.(?![0-9])")
"""The dot between two words of a path. A dot between two digits belongs to a number (`stages.12.5 %`)."""
_RIVALS = frozenset({"steps", "tokens", "flops", "seconds"})


def expand(tree: Any, path: KeyPath = ()) -> Any:
    """Expands dotted keys: `{a.b: 1, a: {c: 2}}` becomes `{a: {b: 1, c: 2}}`. Raises ConfigError when a path is written
    twice.
    """
    problems: list[Problem] = []
    result = _expand(tree, path, problems)
    if problems:
        raise ConfigError(problems)
    return result


def _expand(tree: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if isinstance(tree, Seq | list | tuple):
        items = [_expand(item, (*path, index), problems) for index, item in enumerate(tree)]
        return Seq(items, getattr(tree, "mark", None), getattr(tree, "marks", ()))
    if not isinstance(tree, dict):
        return tree
    source = tree if isinstance(tree, Map) else copied(tree)
    result = Map(mark=source.mark)
    for key, value in source.items():
        # the keys of a choice are names, and the start values of a search are listed by the names of parameters
        named = path[-1:] == ("choice",) or path[:2] == ("search", "start_with")
        parts = [key] if named else _DOT.split(key)
        marks = source.marks_of(key)
        if not all(parts):
            problems.append(Problem("a dotted key has a word between its dots", (*path, key), marks[0]))
            continue
        value = _expand(value, (*path, *parts), problems)
        for depth in range(len(parts) - 1, 0, -1):
            nested = Map(mark=marks[0])
            nested.put(parts[depth], value, marks)
            value, marks = nested, (marks[0], marks[0])
        _join(result, parts[0], value, marks, path, problems)
    return result


def _join(
    into: Map,
    key: str,
    value: Any,
    marks: tuple[Position | None, Position | None],
    path: KeyPath,
    problems: list[Problem],
) -> None:
    """Adds one key. Two mappings are joined; any other key that is written twice is a problem."""
    if key not in into:
        into.put(key, value, marks)
    elif isinstance(into[key], Map) and isinstance(value, Map):
        for inner, inner_value in value.items():
            _join(into[key], inner, inner_value, value.marks_of(inner), (*path, key), problems)
    else:
        first = into.marks_of(key)[0]
        where = f", first in line {first.line}" if first and first.file != SET_FILE else ""
        problems.append(Problem(f"the same path is written twice{where}", (*path, key), marks[0]))


def merge(base: Any, over: Any) -> Any:
    """Returns `over` on top of `base`, mapping by mapping; both are expanded. Marks stay with their values. Neither
    tree is changed.

    A mapping of the base is replaced as a whole when `over` names a `base`, another `kind` or a form that the base does
    not have (`text` over `hub`), and when either side is a domain or a `{saving: ...}`. Only the last of steps, tokens,
    flops and seconds stays. A `schedule` given by name counts as `{base: NAME}` under changes on top of it.
    """
    if not (isinstance(base, dict) and isinstance(over, dict)) or _afresh(base, over):
        return copied(over)
    result = copied(base)
    source = over if isinstance(over, Map) else copied(over)
    if _RIVALS & set(source) and not _RIVALS & set(source) & set(base):
        for rival in _RIVALS & set(base):
            del result[rival]
            result.marks.pop(rival, None)
    for key, value in source.items():
        if key == "schedule" and key in result and isinstance(result[key], str):
            result.put(key, _referred(result[key], result.marks_of(key)[1]), result.marks_of(key))
        merged = merge(result[key], value) if key in result else copied(value)
        key_mark, value_mark = source.marks_of(key)
        if (
            key in result
            and isinstance(merged, Map)
            and isinstance(result[key], Map)
            and not _afresh(result[key], value)
        ):
            key_mark, value_mark = result.marks_of(key)
        result.put(key, merged, (key_mark, value_mark))
    return result


def _referred(name: str, mark: Position | None) -> Map:
    """Returns the mapping for which a schedule's name or place is short, so that changes can be merged on top."""
    tree = Map(mark=mark)
    tree.put("base", name, (mark, mark))
    return tree


def _afresh(base: dict[str, Any], over: dict[str, Any]) -> bool:
    if "base" in over or over.get("kind", base.get("kind")) != base.get("kind", over.get("kind")):
        return True
    return bool((_FORMS & set(over)) - set(base)) or bool(_VALUES & (set(over) | set(base)))


def set_tree(sets: Sequence[str], file: str = SET_FILE) -> Map:
    """Returns `["a.b=value", ...]` as one expanded tree, with values typed as in YAML.

    Its marks name `file`, and their line is the number of the text, counted from 1. An empty text is skipped but
    counted. Raises ConfigError with every malformed text.
    """
    written = Map(mark=Position(file, 1, 1))
    problems: list[Problem] = []
    for number, text in enumerate(sets, start=1):
        if not text:
            continue
        key, equals, value = text.partition("=")
        mark = Position(file, number, 1)
        if not equals or not all(_DOT.split(key.strip())):
            problems.append(Problem("--set needs a.b=value", mark=mark, given=text))
            continue
        try:
            tree = _moved(load_value(value, file), mark, len(key) + 1)
        except ConfigError as error:
            problems += [_at(problem, mark, len(key) + 1) for problem in error.problems]
            continue
        single = expand(_single(key.strip(), tree, mark, replace(mark, column=len(key) + 2)))
        for part, inner in single.items():
            _join(written, part, inner, single.marks_of(part), (), problems)
    if problems:
        raise ConfigError(problems)
    return written


def apply_sets(tree: Any, sets: Sequence[str]) -> Any:
    """Returns `tree` with every `--set` merged on top. Raises ConfigError for a malformed one or a path given twice."""
    return merge(tree, set_tree(sets)) if sets else tree


def _single(key: str, value: Any, key_mark: Position, value_mark: Position) -> Map:
    single = Map(mark=key_mark)
    single.put(key, value, (key_mark, value_mark))
    return single


def _at(problem: Problem, mark: Position, shift: int) -> Problem:
    column = (problem.mark.column if problem.mark else 1) + shift
    return problem.at(replace(mark, column=column))


def _moved(tree: Any, mark: Position, shift: int) -> Any:
    """Moves the marks of a value to their place in the text that begins at `mark`."""
    return remarked(tree, lambda inner: replace(mark, column=inner.column + shift))


def paths(tree: Any, path: KeyPath = ()) -> Iterable[KeyPath]:
    """Yields the path of every leaf. A leaf is a scalar, or an empty mapping or list."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from paths(value, (*path, key))
    elif isinstance(tree, list | tuple) and tree:
        for index, value in enumerate(tree):
            yield from paths(value, (*path, index))
    else:
        yield path
