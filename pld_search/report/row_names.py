"""The text below a row's name: its schedule, with the numbers that distinguish it from its base schedule.

A sampled configuration is described by its values, `falling, end=0.448`, and not by `pld (changed)`, which all of them
share.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pld_search.errors import ConfigError
from pld_search.report.comparison import SystemRow
from pld_search.report.sampled_values import number_in_short
from pld_search.report.sampled_values import sampled_text as sampled_text
from pld_search.report.sampled_values import short as short
from pld_search.schedules import library
from pld_search.schedules.schedule import Schedule
from pld_search.spaces.winner_study import changed
from pld_search.specs.written_schedules import CHANGED, schedule_tree

_TEXTS = ("name", "about", "source")


def configuration(row: SystemRow) -> str:
    """Returns `full`; for a changed pld `pld, end=0.7`; for a sampled row `falling, end=0.448, lr=0.0021`."""
    if row.params:
        return sampled_text(row.schedule, row.params)
    if row.experiment is not None and row.schedule.endswith(CHANGED):
        return _changed_text(row.schedule, row.experiment.schedule)
    return row.schedule


def _changed_text(name: str, schedule: Schedule) -> str:
    base = name.removesuffix(CHANGED)
    original = _of_library(base)
    if original is None:
        return name
    own = schedule.model_dump(mode="json", exclude=set(_TEXTS))
    found = changed(original, own)
    said = [f"{short(key, found)}={number_in_short(value)}" for key, value in found.items()]
    return ", ".join([base, *said])


@cache
def _of_library(name: str) -> dict[str, Any] | None:
    """Returns the canonical tree of a schedule of the library; None for an unknown name."""
    if name not in library.names():
        return None
    try:
        return Schedule.model_validate(schedule_tree(name)).model_dump(mode="json", exclude=set(_TEXTS))
    except (ConfigError, ValueError):
        return None


def otherwise(row: SystemRow, reference: SystemRow) -> Iterator[str]:
    """Yields the row's differences to the reference: `4 layers instead of 6`, `schedule pld instead of full`."""
    own, theirs = configuration(row), configuration(reference)
    if row.experiment is None or reference.experiment is None:
        return
    keys = ("model", "optimizer", "batch", "data", "pretraining", "growth", "precision")
    trees = [
        {key: value for key, value in each.model_dump(mode="json").items() if key in keys}
        for each in (reference.experiment, row.experiment)
    ]
    different = changed(*trees)
    for key, value in different.items():
        before: Any = trees[0]
        for part in key.split("."):
            before = before.get(part) if isinstance(before, dict) else None
        if key == "model.intermediate" and "model.hidden" in different:
            continue
        word = key.rpartition(".")[2]
        if isinstance(value, dict | list) or before is None:
            yield f"{word} changed"
        else:
            yield (
                f"{number_in_short(value)} {word} instead of {number_in_short(before)}"
                if word == "layers"
                else (f"{word} {number_in_short(value)} instead of {number_in_short(before)}")
            )
    if own != theirs:
        yield f"schedule {own} instead of {theirs}" if row.system is not None else f"schedule {own}"
