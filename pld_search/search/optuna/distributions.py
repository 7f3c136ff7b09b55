"""Converts domains of a study to Optuna's distributions."""

from __future__ import annotations

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pld_search.spaces import domains


def distribution_of(domain: domains.Choice | domains.Number) -> BaseDistribution:
    """Returns the distribution with which a parameter is asked. Options are single values or names, so Optuna stores
    them unchanged.
    """
    if isinstance(domain, domains.Choice):
        return CategoricalDistribution(domain.options)
    if domain.kind == "int":
        return IntDistribution(int(domain.low), int(domain.high), step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, log=domain.kind == "log", step=domain.step)
