"""Reads a study's data settings before anything is prepared: the template, a stand-in, and missing files."""

from __future__ import annotations

from pathlib import Path

from pld_search.data.locate import Places, missing
from pld_search.errors import ConfigError, Problem
from pld_search.spaces.domains import variants
from pld_search.spaces.study import Study
from pld_search.specs.build_experiment import stand_in
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared
from pld_search.specs.template import ExperimentTemplate, ModelFrom
from pld_search.specs.validate import check
from pld_search.specs.yaml_io import mark_at


def template_of(study: Study) -> ExperimentTemplate:
    """Returns the study's written experiment with its domains closed; data and evaluation are read from it."""
    tree = study.tree_of(None if study.search or not study.systems else study.systems[0].name)
    return check(ExperimentTemplate, variants(tree)[0], ("experiment",))


def assumed(study: Study) -> Prepared:
    """Returns a stand-in for prepared data, for checks and forecasts before anything is prepared. When the study
    continues a checkpoint, its architecture is read.
    """
    template = template_of(study)
    if not isinstance(template.model, ModelFrom):
        return stand_in(template)
    from pld_search.app.starting_checkpoint import architecture  # loads torch; few studies start from a checkpoint

    return stand_in(template, architecture(template.model, study))


def check_places(study: Study, machine: Machine) -> None:
    """Raises ConfigError for every missing text, tokenizer and task, at the place where the study's file names it."""
    if found := missing_places(study, machine):
        raise ConfigError(found)


def missing_places(study: Study, machine: Machine) -> list[Problem]:
    """Returns a problem for every text, tokenizer and task that is missing on this machine, at its place in the
    file.
    """
    template = template_of(study)
    return [
        problem
        if problem.mark is not None
        else problem.below(("experiment",)).at(mark_at(study.experiment, problem.path))
        for problem in missing(template.data, template.evaluation, Places(machine.places, Path(study.base)))
    ]
