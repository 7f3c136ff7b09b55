"""Writes the winner of a study as a new study: winner, reference and pld, with every domain closed, at the target size
if one is stated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pld_search.errors import KeyPath, dotted
from pld_search.spaces.study import Study
from pld_search.spaces.target import at_target, target_budget
from pld_search.specs.template import ExperimentTemplate, is_local_place
from pld_search.specs.validate import check
from pld_search.specs.written_schedules import is_place
from pld_search.specs.yaml_io import Map, plain

FULL = "full"
WINNER = "winner"
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Rows:
    """Closed trees of the rows of a new study. `winner` is None if the reference itself won; `pld` is None if pld
    won.
    """

    reference: Any
    winner: Any | None
    pld: Any | None


def winning_study(study: Study, rows: Rows, about: str, places: Collection[str]) -> dict[str, Any]:
    """Returns the new study as it is written. Relative places become absolute, except places that begin with one of the
    machine's `places`.
    """
    trees = {study.reference or FULL: rows.reference, WINNER: rows.winner, "pld": rows.pld}
    closed = {name: at_target(study, tree) for name, tree in trees.items() if tree is not None}
    base = closed[study.reference or FULL]
    experiment = {**_with_places(plain(base), study.base, places), "schedule": FULL}
    return {
        "name": f"{study.name}-{'target' if study.target is not None else 'winner'}",
        "about": about,
        "experiment": experiment,
        "budget": target_budget(study).model_dump(mode="json", exclude_none=True),
        "systems": {
            name: {"schedule": plain(tree["schedule"]), **_differences(base, tree)} for name, tree in closed.items()
        },
        "reference": study.reference or FULL,
        "seeds": max([study.seeds, *(study.seeds_of(system.name) for system in study.systems)]),
    }


def _differences(base: Map, tree: Map) -> dict[str, Any]:
    """Returns the values of `tree` that differ from `base`, by dotted keys, with defaults written out and without the
    schedule.
    """
    return changed(_whole(base), _whole(tree))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of `after` that differ from `before`, by dotted keys."""
    return {dotted(path): value for path, value in _changed(before, after)}


def _whole(tree: Map) -> dict[str, Any]:
    return check(ExperimentTemplate, tree).model_dump(mode="json", by_alias=True, exclude={"schedule"})


def _changed(before: Any, after: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in after:
            yield from _changed(before.get(key), after[key], (*path, key))
    elif before != after:
        yield path, after


def _with_places(experiment: dict[str, Any], base: str, places: Collection[str]) -> dict[str, Any]:
    """Returns the experiment with places of data, tasks and checkpoint that are valid from any folder."""

    def absolute(written: str) -> str:
        kept = written.startswith(("/", "~")) or Path(written).parts[0] in places
        return written if kept else str((Path(base) / written).absolute())

    data = dict(experiment["data"])
    for split in _SPLITS:
        if isinstance(data.get(split), dict) and "text" in data[split]:
            data[split] = {**data[split], "text": [absolute(pattern) for pattern in data[split]["text"]]}
    if isinstance(data.get("tokenizer"), str) and is_local_place(data["tokenizer"]):
        data["tokenizer"] = absolute(data["tokenizer"])
    result = {**experiment, "data": data}
    if is_place(experiment["model"].get("from", "")):
        result["model"] = {**experiment["model"], "from": absolute(experiment["model"]["from"])}
    tasks = experiment.get("evaluation", {}).get("tasks")
    if isinstance(tasks, list):
        named = [
            task if isinstance(task, str) else {name: absolute(place) for name, place in task.items()} for task in tasks
        ]
        result["evaluation"] = {**experiment["evaluation"], "tasks": named}
    return result
