"""Converts domains and configurations of a study to Optuna's distributions and trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from pld_search.spaces import domains
from pld_search.spaces.flat_space import FlatSpace


def distribution_of(domain: domains.Choice | domains.Number) -> BaseDistribution:
    """Returns the distribution with which a parameter is asked. Options are single values or names, so Optuna stores
    them unchanged.
    """
    if isinstance(domain, domains.Choice):
        return CategoricalDistribution(domain.options)
    if domain.kind == "int":
        return IntDistribution(int(domain.low), int(domain.high), step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, log=domain.kind == "log", step=domain.step)


def as_observed(params: Mapping[str, Any], value: float, space: FlatSpace) -> FrozenTrial:
    """Builds an ended trial from a configuration that was trained outside the search."""
    found = {flat.name: flat.domain for flat in space.parameters}
    return create_trial(
        state=TrialState.COMPLETE,
        value=value,
        params=dict(params),
        distributions={name: distribution_of(found[name]) for name in params},
    )
