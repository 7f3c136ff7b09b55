"""Writes a study for the Optuna dashboard from its records, with facts that the sampler's own storage does not hold.

The journal holds metric names, trial numbers and folders as in the report, the validations of every run as intermediate
values, and the constraints. The systems, which no sampler asked for, stand in the note. The search's own storage is not
touched: the dashboard reads a separate journal, which is written anew each time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pld_search.errors import StudyError
from pld_search.records.study_record import StudyView, trial_folder, view
from pld_search.records.trial_record import TrialRecord
from pld_search.search.optuna.optuna_study import rebuilt
from pld_search.spaces.objectives import Objectives

JOURNAL = "dashboard.journal"
_NOTE = "dashboard:note_str:0"
"""The dashboard's key for the note of a study: optuna_dashboard.save_note writes pieces, numbered from 0."""
_VERSION = "dashboard:note_ver"
_CONSTRAINTS = "constraints"
"""The dashboard's key (0.21) for infeasible trials: the form that samplers used before optuna 5, without names."""
_PIECE = 2045
"""Number of characters of a piece, as optuna_dashboard cuts a note."""


def write_dashboard(folder: Path) -> Path:
    """Writes the journal of the study in `folder` and returns its path. Raises StudyError for a folder without
    a study.
    """
    seen = view(folder)
    if seen.study.created is None:
        raise StudyError(f"{folder} holds no study (no study.jsonl)")
    place = folder / JOURNAL
    place.unlink(missing_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(place)))
    objectives = Objectives.of_definition(seen.study.definition.tree)
    by_name: dict[str, list[TrialRecord]] = {}
    for trial in seen.study.trials.values():
        if trial.asked.sampler_study is not None:
            by_name.setdefault(trial.asked.sampler_study, []).append(trial)
    for name, trials in (by_name or {seen.study.name: []}).items():
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[StudyDirection[goal.direction.upper()] for goal in objectives],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([goal.metric for goal in objectives])
        for trial in trials:
            study.add_trial(_trial(seen, trial, objectives))
        _note(storage, study, systems_note(seen, objectives))
    return place


def _trial(seen: StudyView, trial: TrialRecord, objectives: Objectives) -> FrozenTrial:
    """Builds a trial as the dashboard shows it: its last question with its result."""
    question = trial.questions()[-1]
    made, told = rebuilt(question), trial.told
    constraints = dict(sorted(told.constraints.items())) if told is not None and told.constraints else None
    state = TrialState.RUNNING if told is None else TrialState[told.state]
    if state == TrialState.FAIL:
        state = TrialState.PRUNED  # its constraint shows that it was given up
    shown = optuna.trial.create_trial(
        state=state,
        values=list(told.values or ()) if told is not None and state == TrialState.COMPLETE else None,
        params=made.params,
        distributions=made.distributions,
        user_attrs={
            "trial": trial.number,
            "schedule": trial.asked.schedule,
            "folder": str(trial_folder(seen.folder, trial.number, trial.seeds[0]).parent),
            **({"reason": trial.why} if trial.why else {}),
            **{f"constraint {name}": value for name, value in (constraints or {}).items()},
        },
        system_attrs={_CONSTRAINTS: list(constraints.values())} if constraints else None,
        intermediate_values=_validations(seen, trial, objectives) if len(objectives) == 1 else None,
    )
    runs = [seen.runs[trial.number, index] for index in trial.seeds]
    begun = [run.first_time for run in runs if run.first_time is not None]
    shown.datetime_start = datetime.fromtimestamp(min(begun, default=trial.asked.time))
    if told is not None:
        shown.datetime_complete = datetime.fromtimestamp(told.time)
    return shown


def _validations(seen: StudyView, trial: TrialRecord, objectives: Objectives) -> dict[int, float]:
    """Returns the series of the first objective, as the mean over the seeds that have a step."""
    found: dict[int, list[float]] = {}
    for index in trial.seeds:
        for step, value in seen.runs[trial.number, index].series.get(objectives.first.metric, ()):
            if math.isfinite(value):
                found.setdefault(step, []).append(value)
    return {step: math.fsum(values) / len(values) for step, values in sorted(found.items())}


def systems_note(seen: StudyView, objectives: Objectives) -> str:
    """Formats the declared rows as a table in markdown."""
    names = [goal.metric for goal in objectives]
    lines = ["| system | trial | schedule | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for trial in seen.study.trials.values():
        if trial.system is not None:
            values = [f"{value:.4g}" for value in (trial.told.values if trial.told else None) or ()]
            told = values or ["-"] * len(names)
            lines.append(f"| {trial.system} | {trial.number} | {trial.asked.schedule} | {' | '.join(told)} |")
    about = seen.study.definition.about
    return "\n".join(([about, ""] if about else []) + lines)


def _note(storage: JournalStorage, study: optuna.Study, text: str) -> None:
    number = study._study_id
    attributes: Mapping[str, Any] = {
        _VERSION: 1,
        **{
            _NOTE.replace(":0", f":{piece}"): text[start : start + _PIECE]
            for piece, start in enumerate(range(0, len(text), _PIECE))
        },
    }
    for key, value in attributes.items():
        storage.set_study_system_attr(number, key, value)
