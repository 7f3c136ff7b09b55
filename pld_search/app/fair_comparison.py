"""Finds missing conditions of a fair comparison: equal seeds, equally tuned rates, a check of the depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pld_search.app.study_folders import RECORDS
from pld_search.errors import ConfigError, Position, Problem
from pld_search.spaces.domains import variants
from pld_search.spaces.resolve import Resolver
from pld_search.spaces.study import Study, System
from pld_search.spaces.waive import Waive
from pld_search.specs.experiment import Experiment
from pld_search.specs.prepared_data import Prepared

NO_SHALLOWER = (
    "no full-depth row has fewer layers than the reference, so nothing says whether its depth is right for "
    "this budget; "
    "add one, such as `shallow: {schedule: full, model.layers: N}`, or state `waive: {depth: WHY}`"
)
UNEQUALLY_TUNED = (
    "tuned by fewer runs than another system, so that a difference would be one of tuning, too; "
    "or state why at the top level: `waive: {tuning: WHY}`"
)
_PLACES = 100


def refuse_unfair(study: Study, folder: Path) -> None:
    """Raises ConfigError when a system has its own seeds, or less tuning than another system and no waiver.

    Rows are compared by runs of equal seed, after equal tuning. A study whose `folder` holds records continues.
    """
    if (folder / RECORDS).is_file():
        return
    if problems := [*_own_seeds(study), *_unequal_tuning(study)]:
        raise ConfigError(problems)


def _own_seeds(study: Study) -> Iterator[Problem]:
    rule = "every system has the study's seeds, so that rows are compared by runs of equal seed"
    for system in study.systems:
        if system.seeds is not None:
            path = ("systems", system.name, "seeds")
            yield Problem(rule, path, _mark(system), "seeds: N of the study", str(system.seeds))


def _unequal_tuning(study: Study) -> Iterator[Problem]:
    """Yields a problem for each system with fewer tuning runs than another; none if tuning is waived or no rows are
    compared.
    """
    if study.reference is None or (study.waive is not None and study.waive.tuning is not None):
        return
    most = max((system.tuning_trials for system in study.systems), default=0)
    for system in study.systems:
        if system.tuning_trials < most:
            path, given = ("systems", system.name, "tune"), f"{system.tuning_trials} runs"
            yield Problem(UNEQUALLY_TUNED, path, _mark(system), f"{most} runs for every system", given)


def _mark(system: System) -> Position | None:
    mark: Position | None = getattr(system.changes, "mark", None)
    return mark


def fairness_notes(study: Study, prepared: Prepared) -> list[str]:
    """Returns one sentence for each missing condition that is not waived; empty for a study that compares no
    systems.
    """
    if study.reference is None or len(study.systems) < 2:
        return []
    waived = study.waive or Waive()
    lacking = waived.depth is None and _needs_a_shallower_row(study, Resolver(study, prepared))
    return [NO_SHALLOWER] if lacking else []


def waivers(study: Study) -> Iterator[str]:
    """Yields the study's waivers with their reasons."""
    waived = study.waive or Waive()
    for name, why in (("tuning", waived.tuning), ("a shallower full-depth row", waived.depth)):
        if why is not None:
            yield f"waived: {name}: {why}"


def _needs_a_shallower_row(study: Study, resolver: Resolver) -> bool:
    """Whether some system drops layers and no full-depth system is shallower than the reference."""
    rows: dict[str, Experiment] = {}
    for system in study.systems:
        try:
            rows[system.name] = resolver.experiment(variants(system.tree)[0])
        except ConfigError:
            return False  # the plan itself reports a system that cannot be built or was not measured
    if study.reference not in rows:
        return False
    layers = rows[study.reference].model.layers
    dropping = any(_drops(experiment) for experiment in rows.values())
    shallower = any(
        experiment.model.layers < layers and experiment.growth is None and not _drops(experiment)
        for experiment in rows.values()
    )
    return dropping and not shallower


def _drops(experiment: Experiment) -> bool:
    """Whether the keep rate is below 1 at one of a hundred points of the run."""
    places = np.linspace(0, experiment.steps - 1, _PLACES).astype(int)
    return float(np.min(experiment.schedule.theta(places, experiment.steps))) < 1
