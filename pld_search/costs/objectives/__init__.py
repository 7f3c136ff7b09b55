"""The cost of the heads of each pre-training objective, from shapes alone. Each objective has its own file."""

from __future__ import annotations

from pld_search.costs.objectives.electra import ElectraCosts
from pld_search.costs.objectives.mlm import MlmCosts
from pld_search.costs.objectives.mlm_nsp import MlmNspCosts
from pld_search.specs.pretraining import ELECTRA, MLM, MLM_NSP, Pretraining

_costs: dict[str, type[MlmCosts]] = {MLM: MlmCosts, MLM_NSP: MlmNspCosts, ELECTRA: ElectraCosts}


def admit(kind: str, costs: type[MlmCosts]) -> None:
    """Registers the costs of an objective. Only `pld_search.pretraining.registry.register` calls it."""
    _costs[kind] = costs


def costs_of(pretraining: Pretraining | None) -> MlmCosts:
    """Returns the costs of the objective that an experiment states; None is masked language modelling."""
    return _costs[MLM if pretraining is None else pretraining.kind](pretraining)


__all__ = ["MlmCosts", "admit", "costs_of"]
