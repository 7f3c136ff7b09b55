"""Domains of a study as Optuna's distributions, and a tree of domains as one question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pld_search.records.trial_record import Question
from pld_search.search.optuna.study import OptunaStudy
from pld_search.search.sampling import Asked
from pld_search.spaces import domains


def distribution_of(domain: domains.Choice | domains.Number) -> BaseDistribution:
    """The distribution a parameter is asked with. Options are single values or names, so that they persist as
    they are.
    """
    if isinstance(domain, domains.Choice):
        return CategoricalDistribution(domain.options)
    if domain.kind == "int":
        return IntDistribution(int(domain.low), int(domain.high), step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, log=domain.kind == "log", step=domain.step)


def ask(study: OptunaStudy, tree: Any, waiting: Iterable[Question] = ()) -> tuple[Asked, Any]:
    """The next question of a study and the tree with its answers; parameters of branches not chosen are never asked."""
    return study.ask(
        lambda suggest: domains.sample(tree, lambda name, domain: suggest(name, distribution_of(domain))), waiting
    )
