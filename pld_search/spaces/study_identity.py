"""The identity of a study: what a continued study must share with the started one, and a readable list of differences.

These changes are allowed when a study continues: more trials (of the search and of a system's tuning), more seeds, more
systems, other texts (name, about) and all settings of the machine. An added system changes nothing that exists: its
runs share seeds, data and budget with the reference's, as all systems do. Every other change affects results or
comparisons and needs a new study.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.errors import dotted
from pld_search.frozen import digest_of
from pld_search.spaces.study import Study
from pld_search.specs.tree_changes import paths
from pld_search.specs.validate import shown_value
from pld_search.specs.yaml_io import plain

_TEXTS = ("name", "about", "source")
_ABSENT = object()


def identity(study: Study) -> dict[str, str]:
    """Returns one digest for each part: `experiment`, `budget`, `objective`, `constraints`, `sampler`, `learn_from`,
    `reference`, and every `systems.NAME`.
    """
    return {part: digest_of(content) for part, content in _parts(study).items()}


def differences(old: Study, new: Study) -> list[str]:
    """Returns the differences that keep `new` from continuing `old`, one line each: `experiment.optimizer.lr: 0.001 ->
    0.002`. The list is empty if it may continue.
    """
    before, after = _parts(old), _parts(new)
    lines: dict[str, None] = {}
    template = set(_changes("experiment", before["experiment"], after["experiment"]))
    # an added system may name more schedules and a removed one fewer; the removal itself is reported
    both = set(before["references"]) & set(after["references"])
    for parts in (before, after):
        parts["references"] = {name: tree for name, tree in parts["references"].items() if name in both}
    for part in before:
        if part in after:
            changes = _changes(part, before[part], after[part])
            inherited = (
                [line for line in changes if line.replace(part, "experiment", 1) in template]
                if part.startswith("systems.")
                else []
            )
            lines.update(dict.fromkeys(line for line in changes if line not in inherited))
        else:
            lines[f"{part}: removed"] = None
    return [*lines, *_fewer(old, new)]


def _parts(study: Study) -> dict[str, Any]:
    search = study.search
    parts = {
        "experiment": _without_texts(study.experiment),
        "budget": study.budget.model_dump(mode="json", exclude_none=True),
        "objective": [objective.model_dump(exclude_none=True) for objective in study.objectives],
        "constraints": list(search.constraints) if search else [],
        "sampler": {"sampler": search.sampler, "seed": search.seed} if search else {},
        "learn_from": {"learn_from": list(search.learn_from)} if search and search.learn_from else {},
        "early_stopping": search.early_stopping.model_dump(mode="json") if search and search.early_stopping else {},
        "confirm": {"confirm": True} if study.confirm is not None else {},
        "reference": study.reference,
        "references": {name: _schedule_without_texts(tree) for name, tree in study.references.items()},
    }
    parts |= {f"systems.{system.name}": _without_texts(system.tree) for system in study.systems}
    grids = {system.name: list(system.rates) for system in study.systems if system.rates is not None}
    return parts | {f"tune.{name}": {"optimizer.lr": rates} for name, rates in grids.items()}


def _without_texts(tree: Any) -> Any:
    """Returns an experiment's tree without the names and texts of its schedules, which are not part of digests
    either.
    """
    result = plain(tree)
    if isinstance(result.get("schedule"), dict):
        result["schedule"] = _schedule_without_texts(result["schedule"])
    return result


def _schedule_without_texts(schedule: Any) -> Any:
    if isinstance(schedule, dict) and isinstance(schedule.get("choice"), dict):
        return {
            **schedule,
            "choice": {name: _schedule_without_texts(branch) for name, branch in schedule["choice"].items()},
        }
    return (
        {key: plain(value) for key, value in schedule.items() if key not in _TEXTS}
        if isinstance(schedule, dict)
        else schedule
    )


def _changes(part: str, before: Any, after: Any) -> list[str]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return [
        f"{dotted((part, *path))}: {_shown(old.get(path, _ABSENT))} -> {_shown(new.get(path, _ABSENT))}"
        for path in dict.fromkeys([*old, *new])
        if old.get(path, _ABSENT) != new.get(path, _ABSENT)
    ]


def _leaves(tree: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    for path in paths(tree):
        value = tree
        for key in path:
            value = value[key]
        yield path, value


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else shown_value(value)


def _fewer(old: Study, new: Study) -> list[str]:
    """Returns a line for every number that may only grow and has shrunk."""
    pairs: list[tuple[str, int, int]] = [
        ("seeds", old.seeds, new.seeds),
        ("seeds.max", old.most_seeds or 0, new.most_seeds or 0),
    ]
    if old.search is not None:
        if (old.search.seeds, new.search.seeds if new.search is not None else None) != (None, None):
            pairs.append(("search.seeds", old.seeds_of(None), new.seeds_of(None)))
        pairs.append(("search.trials", old.search.trials, new.search.trials if new.search is not None else 0))
    if old.confirm is not None and new.confirm is not None:
        pairs += [
            ("confirm.top", old.confirm.top, new.confirm.top),
            ("confirm.seeds", old.confirm.seeds, new.confirm.seeds),
        ]
    after = {system.name: system for system in new.systems}
    for system in old.systems:
        if system.name in after:
            other = after[system.name]
            pairs.append((f"systems.{system.name}.tune", system.tune or 0, other.tune or 0))
            pairs.append((f"systems.{system.name}.seeds", old.seeds_of(system.name), new.seeds_of(system.name)))
    return [f"{name}: {before} -> {after} (only more can be added)" for name, before, after in pairs if after < before]
