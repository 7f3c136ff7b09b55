"""The architectures that a study trains, as far as a calibration distinguishes them: the set to be measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pld_search.costs.profile import architecture_of
from pld_search.errors import ConfigError
from pld_search.spaces.domains import close, variants
from pld_search.spaces.feasibility import points_of
from pld_search.spaces.resolve import Resolver, SeveralKinds
from pld_search.spaces.target import at_target
from pld_search.specs.experiment import Experiment

_POINTS = 200
"""The number of combinations of a space that are examined. An unmeasured one that appears later is reported then."""


def architectures(resolver: Resolver) -> dict[str, Experiment]:
    """Returns an Experiment to measure for every architecture of the resolver's study, by digest; the target's comes
    last. Raises SeveralKinds.
    """
    found: dict[str, Experiment] = {}
    for tree in _trees(resolver):
        try:
            experiment = resolver.measurable(tree)
        except SeveralKinds:
            raise
        except ConfigError:
            continue  # a combination that cannot be built is never run
        found.setdefault(architecture_of(experiment), experiment)
    return found


def _trees(resolver: Resolver) -> Iterator[Any]:
    study = resolver.study
    names: list[str | None] = [system.name for system in study.systems]
    for name in [*names, None] if study.search is not None or not names else names:
        tree = study.tree_of(name)
        yield from (close(tree, params) for params in points_of(tree, _POINTS, seed=0))
    if study.target is not None:
        yield at_target(study, variants(study.tree_of(study.reference))[0])
