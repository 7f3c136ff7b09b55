"""Finds the study that a verb is given: a file, the name of a shipped study, or the records in a study's folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pld_search.app.machine_setup import study_sets
from pld_search.app.study_folders import RECORDS
from pld_search.errors import ConfigError, Problem, StudyError
from pld_search.host.disk import expanded
from pld_search.records.study_record import fold_study
from pld_search.spaces.load_study import load_study
from pld_search.spaces.study import Study
from pld_search.specs.tree_changes import set_tree

STEPS = "PLD_SEARCH_STEPS"


def study_of(source: str, sets: Sequence[str] | None) -> Study:
    """Loads the study in `source` with --set on top. For a study's folder, or the study.yaml in it, returns the study
    as recorded.

    PLD_SEARCH_STEPS=N in the environment comes between file and --set. Raises ConfigError with every problem.
    """
    changes, folder = study_sets(sets or ()), recorded_in(source)
    if folder is None:
        return load_study(source, changes, set_tree(reduced(os.environ.get(STEPS)), STEPS))
    if any(changes):
        given = next(change for change in changes if change)
        raise ConfigError(Problem("a recorded study takes no --set; change the file it was made from", given=given))
    return recorded(folder)


def reduced(steps: str | None) -> list[str]:
    """Returns the changes of a reduced budget: `steps` steps, one epoch of fine-tuning, losses of 128 sequences,
    final losses of 256. Raises ConfigError unless `steps` is a number of steps.
    """
    if not steps:
        return []
    if not (steps.isascii() and steps.isdecimal()) or int(steps) < 1:
        raise ConfigError(Problem(f"{STEPS} is a number of steps", allowed="a whole number, 1 or more", given=steps))
    return [f"budget.steps={int(steps)}", "evaluation.epochs=1", "validation.sequences=128", "validation.final=256"]


def recorded_in(source: str) -> Path | None:
    """Returns the folder of the study to which `source` (the folder, or its study.yaml) belongs; None for a user's
    file.
    """
    path = expanded(source)
    folder = path.parent if path.name == "study.yaml" else path
    return folder if (folder / RECORDS).is_file() else None


def recorded(folder: Path) -> Study:
    """Returns the study as recorded in a folder."""
    return Study.from_definition(definition_in(folder))


def definition_in(folder: Path) -> dict[str, Any]:
    """Returns the recorded definition of a study as JSON values. Raises StudyError when there is none."""
    definition = dict(fold_study(folder).definition.tree)
    if not definition:
        raise StudyError(f"{folder}: its records hold no study yet; run the file it is made from")
    return definition
