"""Finds the test sets of an experiment's GLUE tasks, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pld_search.data.glue_server import ServerTable, server_tables
from pld_search.data.locate import Places
from pld_search.errors import ConfigError, Problem
from pld_search.specs.experiment import Experiment
from pld_search.specs.machine import Machine


def glue_tables(experiment: Experiment, machine: Machine) -> Mapping[str, list[ServerTable]]:
    """Returns the test sets of each task, from the machine's folder of the task, or from the hub without such a folder.

    Raises ConfigError if the experiment has no GLUE task or no task has a test set; raises DataError for a table that
    cannot be read.
    """
    names = [task.name for task in experiment.evaluation.tasks if task.suite == "glue"]
    if not names:
        rule = "--glue-files is for experiments that are fine-tuned on tasks of GLUE, and this one is on none"
        raise ConfigError(Problem(rule, ("evaluation", "tasks")))
    places = Places(machine.places, Path())
    folders = {name: places.glue(name, None) for name in names}
    found = {name: list(server_tables(name, folder)) for name, folder in folders.items()}
    if not any(found.values()):
        given = ", ".join(str(folder) for folder in folders.values())
        rule = "no test set of the experiment's GLUE tasks is there"
        raise ConfigError(
            Problem(rule, allowed="test.tsv, of MNLI test_matched.tsv, as GLUE publishes them", given=given)
        )
    return found
