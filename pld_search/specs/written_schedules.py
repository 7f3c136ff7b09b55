"""Resolves a written schedule (by name, by path or in place, with a `base`) to one complete tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pld_search.errors import ConfigError, KeyPath, Position, Problem
from pld_search.host.disk import expanded
from pld_search.schedules import library
from pld_search.specs.tree_changes import expand, merge
from pld_search.specs.yaml_io import Map, borrowed, copied, load_file, mark_at

Load = Callable[[Path], Map]
CHANGED = " (changed)"
"""The suffix of the base's name for a changed schedule without a name of its own."""


def is_place(text: str) -> bool:
    """Whether a reference is a place (`./x`, `/x`, `~/x`, `x.yaml`) and not a bare name."""
    return text.startswith(("./", "../", "/", "~")) or text in (".", "..") or text.endswith((".yaml", ".yml"))


def place(text: str, relative_to: Path | None) -> Path:
    """Converts a place to a path: `~` is the home folder; a relative place starts at the folder of the file that holds
    it.
    """
    path = expanded(text)
    return path if path.is_absolute() or relative_to is None else relative_to / path


def schedule_tree(
    source: str | dict[str, Any],
    relative_to: Path | None = None,
    *,
    load: Load = load_file,
    mark: Position | None = None,
) -> Map:
    """Returns the complete tree of a schedule: files read, `base` resolved, dotted keys expanded. It is not validated.

    `source` is a name of the library, a place (relative to the folder `relative_to`) or a mapping; `mark` is the
    position of a written name or place. A mapping with a `base` and no `name` gets the name `BASE (changed)`. Raises
    ConfigError for an unknown name, a missing file, or a `base` that refers back to itself.
    """
    return _resolve(source, relative_to, load, mark, ())


def generator_written_out(tree: Map, mark_folder: Callable[[Position | None], Path | None]) -> Map:
    """An experiment's tree whose `pretraining.generator.schedule` is complete: names, places and bases replaced.

    `mark_folder` says where a relative place starts, by where it is written. Raises ConfigError, also for a number that
    is to be solved for a saving: the generator's schedule states its own.
    """
    learns = tree.get("pretraining")
    generator = learns.get("generator") if isinstance(learns, dict) else None
    written = generator.get("schedule") if isinstance(generator, dict) else None
    if not isinstance(written, str | dict) or not written or written == "full":
        return tree
    path = ("pretraining", "generator", "schedule")
    mark = mark_at(tree, path)
    said = mark if isinstance(written, str) else mark_at(written, ("base",)) or mark
    try:
        complete = schedule_tree(written, mark_folder(said), mark=mark)
    except ConfigError as error:
        raise ConfigError([problem.below(path) for problem in error.problems]) from None
    opened = [path_in for path_in, value in _mappings(complete) if "saving" in value]
    if opened:
        rule = "the generator's schedule states its numbers: a saving is solved for the discriminator's alone"
        raise ConfigError([Problem(rule, (*path, *each), mark_at(complete, each) or mark) for each in opened])
    inner, outer, result = copied(generator), copied(learns), tree.copy()
    inner["schedule"] = complete
    outer["generator"] = inner
    result.put("pretraining", outer, tree.marks_of("pretraining"))
    return result


def _mappings(tree: dict[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield (*path, key), value
            yield from _mappings(value, (*path, key))


def _resolve(
    source: str | dict[str, Any], folder: Path | None, load: Load, mark: Position | None, seen: tuple[str, ...]
) -> Map:
    if isinstance(source, dict):
        return _with_base(source, folder, load, mark, seen)
    if not isinstance(source, str):
        raise ConfigError(Problem("a schedule is a name, a place or a mapping", mark=mark, given=str(source)))
    path = place(source, folder) if is_place(source) else library.path_of(source, mark=mark, beside=folder)
    key = str(path.resolve())
    if key in seen:
        chain = " -> ".join(Path(step).stem for step in (*seen[seen.index(key) :], key))
        raise ConfigError(Problem("the bases form a circle", ("base",), mark, given=chain))
    try:
        tree = load(path)
    except ConfigError as error:
        if mark is not None and not path.exists():
            raise ConfigError(Problem(f"no such file: {path}", mark=mark, given=source)) from None
        raise error
    resolved = _with_base(tree, path.parent, load, mark, (*seen, key), stem=path.stem)
    return resolved if is_place(source) else borrowed(resolved, source, mark)


def _with_base(
    source: dict[str, Any],
    folder: Path | None,
    load: Load,
    mark: Position | None,
    seen: tuple[str, ...],
    stem: str = "",
) -> Map:
    tree: Map = expand(source)
    if "saving" in tree:
        rule = "a saving stands in place of one number of a schedule, not of the whole"
        raise ConfigError(
            Problem(
                rule,
                ("saving",),
                mark_at(tree, ("saving",), of="key") or mark,
                "temporal.end: {saving: 25 % of blocks}",
            )
        )
    if "base" not in tree:
        return tree
    base_mark = mark_at(tree, ("base",)) or mark
    base_name = tree["base"]
    if not isinstance(base_name, str):
        raise ConfigError(Problem("base is a name or a place", ("base",), base_mark, given=str(base_name)))
    try:
        base = _resolve(base_name, folder, load, base_mark, seen)
    except ConfigError as error:
        raise ConfigError([_at_base(problem, base_mark) for problem in error.problems]) from None
    base = borrowed(base, base_name)
    label = stem or f"{base.get('name') or Path(base_name).stem}{CHANGED}"
    for word in ("name", "about", "source"):  # they describe the base, not this schedule
        base.pop(word, None)
        base.marks.pop(word, None)
    over = tree.copy()
    del over["base"]
    over.marks.pop("base", None)
    result: Map = merge(base, over)
    if "name" not in result:
        result.put("name", label, (tree.mark, tree.mark))
    return result


def _at_base(problem: Problem, mark: Position | None) -> Problem:
    """Places a problem with the reference itself under `base`; a problem inside the other file keeps its own path."""
    if problem.path or problem.mark != mark:
        return problem
    return problem.below(("base",))
