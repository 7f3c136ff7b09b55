"""Results of other studies in a search's space (`search.learn_from`).

Other studies are read once, when a search is created. The values that are taken over become a record of this study, so
that every decision depends on this study's own records alone. A value is taken over if the other study gave every
parameter of this space a value inside its domain; other parameters of that study are ignored. The model estimates the
correlation of the studies and uses a study only while it helps to predict this study's values (kernel_parameters.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pld_search.errors import ConfigError, Problem
from pld_search.host.disk import expanded
from pld_search.records.study_events import ValuesBorrowed, read_study_events
from pld_search.records.study_record import StudyRecord, fold
from pld_search.search.observed_runs import Observed, kept
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Study

MOST = 40
"""Maximum number of values from one study: its best half and its newest half."""
_FAR_RUNS = -(10**6)


def borrowed_from(study: Study, folder: Path) -> ValuesBorrowed | None:
    """Reads the studies that `learn_from` names: a study beside `folder`, or a study's folder. None if it is empty.

    Raises ConfigError if a study has no records, another objective, or fewer than two values that can be taken over.
    """
    search = study.search
    if search is None or not search.learn_from:
        return None
    space = FlatSpace(study.experiment)
    found: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for place, name in enumerate(search.learn_from):
        events = read_study_events(folder.parent / expanded(name) / "study.jsonl")
        other = fold(events)
        rule, values = _taken(other, study, space)
        if rule is not None:
            problems.append(Problem(rule, ("search", "learn_from", place), given=name))
        found.append({"name": other.name, "id": other.id, "values": values})
    if problems:
        raise ConfigError(problems)
    return ValuesBorrowed(studies=found)


def _taken(other: StudyRecord, study: Study, space: FlatSpace) -> tuple[str | None, list[list[Any]]]:
    """Returns the problem with another study, or None, and its values."""
    if other.created is None:
        return "no study has records there", []
    goal = study.objectives.first
    theirs = Study.from_definition(other.definition.tree).objectives.first
    if (theirs.metric, theirs.sign) != (goal.metric, goal.sign):
        return f"that study's first objective is {theirs.metric}, this one's is {goal.metric}", []
    ended = [trial for trial in other.trials.values() if trial.feasible and trial.told and trial.told.values]
    rows: list[tuple[dict[str, Any], float]] = []
    for trial in sorted(ended, key=lambda each: each.told.seq if each.told else 0):
        params = _inside(trial.asked.params, space)
        if params is not None and trial.told is not None and trial.told.values:
            rows.append((params, float(trial.told.values[0])))
    if len(rows) < 2:
        return f"{len(rows)} of its {len(ended)} results lie in this search's space, and two are needed", []
    chosen = kept(np.array([goal.sign * value for _, value in rows]), MOST)
    return None, [list(rows[int(index)]) for index in chosen]


def _inside(params: Mapping[str, Any], space: FlatSpace) -> dict[str, Any] | None:
    """Returns the values of this space's parameters; None if one is missing or lies outside its domain."""
    found: dict[str, Any] = {}
    for flat in space.parameters:
        if flat.exists(found):
            if flat.name not in params or not flat.domain.holds(params[flat.name]):
                return None
            found[flat.name] = params[flat.name]
    return found


def borrowed_values(record: StudyRecord, sign: float, space: FlatSpace) -> Observed | None:
    """Returns the recorded borrowed values, less is better; None without borrowed values."""
    if record.borrowed is None:
        return None
    rows = [
        (params, value, place)
        for place, other in enumerate(record.borrowed.studies, 1)
        for params, value in other["values"]
    ]
    return Observed(
        space.encoded([params for params, _, _ in rows]),
        np.array([sign * value for _, value, _ in rows]),
        np.ones(len(rows)),
        _FAR_RUNS - np.arange(len(rows)),
        np.array([place for _, _, place in rows]),
    )
