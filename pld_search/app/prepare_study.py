"""Data made ready for a study: corpus, tokenizer and tasks by the data room, a checkpoint to start from by the model
room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pld_search.errors import Problem
    from pld_search.spaces.study import Study
    from pld_search.specs.machine import Machine
    from pld_search.specs.prepared_data import Prepared


def prepare_study(study: Study, machine: Machine, tell: Callable[[str], None] | None = None) -> Prepared:
    """Everything the study's template names, made ready in the machine's cache; `tell` hears what is being done.

    Raises DataError or ConfigError for what cannot be read as stated.
    """
    from pld_search.app.find_study import template_of
    from pld_search.data.prepare_data import prepare
    from pld_search.specs.template import ModelFrom

    check_places(study, machine)
    template, base = template_of(study), Path(study.base)
    prepared = prepare(
        template.data, template.evaluation, Path(machine.cache), places=machine.places, base=base, progress=tell
    )
    if not isinstance(template.model, ModelFrom):
        return prepared
    from pld_search.app.starting_checkpoint import with_checkpoint

    return with_checkpoint(prepared, template.model, study, tell or (lambda _: None))


def check_places(study: Study, machine: Machine) -> None:
    """Raises ConfigError with every text, tokenizer and task that is not there, where the study's file names it."""
    from pld_search.errors import ConfigError

    if found := missing_places(study, machine):
        raise ConfigError(found)


def missing_places(study: Study, machine: Machine) -> list[Problem]:
    """Every text, tokenizer and task of the study that is not on this machine, at its place in the study's file."""
    from pld_search.app.find_study import template_of
    from pld_search.data.locate import Places, missing
    from pld_search.specs.yaml_io import mark_at

    template = template_of(study)
    return [
        problem
        if problem.mark is not None
        else replace(problem, path=("experiment", *problem.path), mark=mark_at(study.experiment, problem.path))
        for problem in missing(template.data, template.evaluation, Places(machine.places, Path(study.base)))
    ]
