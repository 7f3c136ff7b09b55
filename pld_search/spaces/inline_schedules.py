"""Writes out the schedules of a study: names, places and bases become complete trees, so that the study needs no other
file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pld_search.costs.saving import form_of, openings
from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.spaces.domains import is_domain
from pld_search.spaces.problem_location import under
from pld_search.specs.tree_changes import SET_FILE
from pld_search.specs.written_schedules import generator_written_out, is_place, place, schedule_tree
from pld_search.specs.yaml_io import Map, copied, mark_at


def complete(tree: Map, references: Map, path: KeyPath = ("experiment",)) -> Map:
    """Returns an experiment's tree with its schedule written out, in every branch of a choice, and the generator's.

    Schedules named by a `{saving: like NAME}` are added to `references`. Raises ConfigError with every problem.
    """
    try:
        tree = generator_written_out(tree, folder_of)
    except ConfigError as error:
        raise under(error, path) from None
    if "schedule" not in tree:
        return tree
    result = tree.copy()
    key_mark, mark = tree.marks_of("schedule")
    result.put("schedule", _schedule(tree["schedule"], mark, references, (*path, "schedule")), (key_mark, mark))
    return result


def _schedule(value: Any, mark: Position | None, references: Map, path: KeyPath) -> Any:
    if not is_domain(value) or "choice" not in value:
        return (
            _one(value, mark, references, path)
            if isinstance(value, str | dict) and value and not is_domain(value)
            else value
        )
    branches = _named_branches(value, path)
    problems: list[Problem] = []
    for name in branches:
        key_mark, branch_mark = branches.marks_of(name)
        try:
            written = branches[name]
            branch = _schedule(written, branch_mark, references, (*path, "choice", name))
            if (
                isinstance(written, dict)
                and isinstance(branch, Map)
                and "name" not in written
                and not is_domain(branch)
            ):
                branch.put("name", name, (key_mark, branch_mark))
            branches.put(name, branch, (key_mark, branch_mark))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    result = value.copy()
    result.put("choice", branches, value.marks_of("choice"))
    return result


def _named_branches(domain: Map, path: KeyPath) -> Map:
    """Returns the branches of a choice by name; in a list, names and places name their branches."""
    options, result = domain["choice"], Map(mark=mark_at(domain, ("choice",)))
    if isinstance(options, dict):
        return copied(options)  # type: ignore[no-any-return]
    for index, option in enumerate(options if isinstance(options, list) else ()):
        mark = mark_at(domain, ("choice", index))
        if not isinstance(option, str):
            raise ConfigError(
                Problem(
                    "a schedule is a name of the library, a place or a mapping",
                    (*path, "choice", index),
                    mark,
                    given=str(option),
                )
            )
        name = Path(option).stem if is_place(option) else option
        if name in result:
            raise ConfigError(Problem("the same choice twice", (*path, "choice", index), mark, given=option))
        result.put(name, option, (mark, mark))
    return result


def _one(value: str | dict[str, Any], mark: Position | None, references: Map, path: KeyPath) -> Map:
    said = mark if isinstance(value, str) else mark_at(value, ("base",)) or mark
    try:
        tree = schedule_tree(value, folder_of(said), mark=mark)
    except ConfigError as error:
        raise under(error, path) from None
    return _with_references(tree, references, path)


def _with_references(tree: Map, references: Map, path: KeyPath) -> Map:
    """Loads the schedule of every `{saving: like NAME}`. A place becomes absolute, so that it is valid from any
    folder.
    """
    result: Map = copied(tree)
    for opening in openings(tree):
        holder: Any = result
        for part in opening:
            holder = holder[part]
        mark = mark_at(tree, opening)
        said = form_of(holder, (*path, *opening), mark)
        if not isinstance(said, str):
            continue  # a share refers to no other schedule
        name = str(place(said, folder_of(mark)).absolute()) if is_place(said) else said
        holder["saving"] = f"like {name}"
        if name not in references:
            # registered before it is loaded: a saving that refers back to itself is detected when it is solved
            references[name] = Map()
            try:
                named = schedule_tree(name, mark=mark)
            except ConfigError as error:
                raise under(error, (*path, *opening)) from None
            references[name] = _with_references(named, references, path)
    return result


def folder_of(mark: Position | None) -> Path:
    """Returns the folder from which a relative place starts: the folder of its file, or the current one for `--set`."""
    return Path() if mark is None or mark.file == SET_FILE else Path(mark.file).parent


def based(template: Map, changes: Any) -> Map:
    """Returns an experiment's tree before `changes` are merged on top of it. If they change keys inside a schedule with
    a `base`, the schedule is written out.

    So a `kind` is compared with the base's, and a new kind replaces its block. A base that cannot be read stays as
    written.
    """
    written, inner = template.get("schedule"), changes.get("schedule") if isinstance(changes, dict) else None
    inside = isinstance(inner, dict) and "base" not in inner and not is_domain(inner)
    if not (inside and isinstance(written, dict) and "base" in written and not is_domain(written)):
        return template
    key_mark, mark = template.marks_of("schedule")
    result = template.copy()
    try:
        tree = schedule_tree(written, folder_of(mark_at(written, ("base",)) or mark), mark=mark)
    except ConfigError:
        return template  # reported where the template is checked
    result.put("schedule", tree, (key_mark, mark))
    return result


def solved_anyhow(schedule: Map) -> Map:
    """Returns a schedule with some number for each `{saving: ...}`, to check all other keys."""
    result: Map = copied(schedule)
    for opening in openings(schedule):
        holder: Any = result
        for part in opening[:-1]:
            holder = holder[part]
        holder[opening[-1]] = "1 / run" if opening[-1] == "rate" else 0.5
    return result
