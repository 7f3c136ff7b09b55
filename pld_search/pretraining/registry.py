"""The objectives by name, and the single call that adds another objective."""

from __future__ import annotations

from pld_search.costs import objectives as costs
from pld_search.pretraining.electra import ReplacedTokens
from pld_search.pretraining.mlm import MaskedLM
from pld_search.pretraining.mlm_nsp import MaskedLMAndNextSentence
from pld_search.pretraining.objective import PretrainingObjective
from pld_search.specs import pretraining as specs
from pld_search.specs.pretraining import MLM, Pretraining

_objectives: dict[str, type[PretrainingObjective]] = {
    each.kind: each for each in (MaskedLM, MaskedLMAndNextSentence, ReplacedTokens)
}


def register(objective: type[PretrainingObjective]) -> None:
    """Adds an objective that experiments can name: `pretraining: KIND`. Raises ValueError if the name exists.

    A process that trains the objective must call this before it reads the experiment.
    """
    if objective.kind in _objectives:
        raise ValueError(f"there is an objective {objective.kind} already")
    specs.admit(objective.kind)
    costs.admit(objective.kind, objective.costs_class)
    _objectives[objective.kind] = objective


def objective_of(pretraining: Pretraining | None) -> PretrainingObjective:
    """Returns the objective that an experiment states; None is masked language modelling."""
    return _objectives[MLM if pretraining is None else pretraining.kind](pretraining)
