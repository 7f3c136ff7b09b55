"""Turns the study's trees into Experiments on prepared data. The coordinator prepares the data once, before it asks
for any configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pld_search.costs.profile_store import Profiles
from pld_search.errors import ConfigError, Problem
from pld_search.frozen import canonical_json
from pld_search.records.study_events import StudyPrepared
from pld_search.search.ledger import Ledger
from pld_search.search.slots import Slots
from pld_search.spaces.metric_names import unknown_tasks
from pld_search.spaces.resolve import Resolver, refuse_unmeasured
from pld_search.spaces.study import Study
from pld_search.specs.execution import Execution
from pld_search.specs.experiment import Experiment
from pld_search.specs.machine import Machine
from pld_search.specs.prepared_data import Prepared

Prepare = Callable[[Study], Prepared]
"""Makes a study's corpus, tasks and checkpoint ready and returns their folders and digests."""


@dataclass(frozen=True, slots=True)
class Built:
    """A configuration ready to run: the Experiment of seed index 0, and the `forecast/*` numbers by name."""

    experiment: Experiment
    forecast: Mapping[str, float]


class Build(Protocol):
    """Makes an Experiment from a closed tree. Raises ConfigError when it cannot be built."""

    def __call__(self, tree: Any) -> Built: ...


class TrainableConfigurations:
    """Builds the configurations of a study and says how this machine executes them.

    Raises ConfigError where the search needs seconds or memory of an architecture that was not measured.
    """

    def __init__(self, study: Study, prepared: Prepared, machine: Machine, slots: Slots, profiles: Profiles) -> None:
        self._resolver = Resolver(study, prepared, profiles=profiles)
        refuse_unmeasured(self._resolver)
        self._folders, self._analysis = prepared.folders, study.analysis
        self._machine, self._slots = machine, slots

    def build(self, tree: Any) -> Built:
        """Turns a closed tree into an Experiment. Raises ConfigError when it cannot be built."""
        experiment = self._resolver.experiment(tree)
        return Built(experiment, self._resolver.forecast(experiment))

    def execution(self, experiment: Experiment) -> Execution:
        """How a run of `experiment` is executed in one of the slots."""
        text = canonical_json(experiment)
        folders = {digest: folder for digest, folder in self._folders.items() if digest in text}
        how = self._machine.execution(self._slots.device, self._slots.threads, folders, self._slots.sharing)
        return how.model_copy(update={"analysis": self._analysis})


def prepare_once(study: Study, ledger: Ledger, prepare: Prepare) -> Prepared:
    """Prepares the data and records its digests. Raises ConfigError when the data differs from the data the study was
    begun with, or when a metric of the study needs a task that was not prepared.
    """
    prepared = prepare(study)
    missing = unknown_tasks(
        [objective.metric for objective in study.objectives] + [limit.name for limit in study.constraints], prepared
    )
    if missing:
        raise ConfigError(
            [
                Problem("no prepared task gives this metric", ("search",), allowed=" | ".join(names), given=name)
                for name, names in missing
            ]
        )
    found = StudyPrepared(
        corpus=prepared.corpus.model_dump(mode="json"),
        tasks=[task.task.model_dump(mode="json") | {"majority": task.majority} for task in prepared.tasks],
        checkpoint=prepared.checkpoint.model.checkpoint if prepared.checkpoint is not None else None,
        folders=prepared.folders,
    )
    before = ledger.study.prepared
    if before is not None:
        _check_same_data(before, found)
    if before is None or not before.same_content(found):
        ledger.write(found)
    return prepared


def _check_same_data(before: StudyPrepared, now: StudyPrepared) -> None:
    fresh = now.digests
    problems = [
        Problem(
            f"{name}: the content changed since the study was begun ({old} -> {new}); give the changed study "
            "another name or folder"
        )
        for name, old in before.digests.items()
        if old != (new := fresh[name])
    ]
    if problems:
        raise ConfigError(problems)
