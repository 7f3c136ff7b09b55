"""Checks whether a search's early-stopping rule can work: the objectives must be known at a rung, and the learning rate
must be able to decay there.
"""

from __future__ import annotations

from typing import Any

from pld_search.errors import KeyPath, Problem
from pld_search.spaces.early_stopping import Branching, Dominance
from pld_search.spaces.metric_names import AT_A_RUNG
from pld_search.spaces.study import Search
from pld_search.specs.validate import shown_value
from pld_search.specs.yaml_io import Map, mark_at

_RULE: KeyPath = ("search", "early_stopping")


def early_stopping_problems(search: Search | None, tree: Map, template: Map) -> list[Problem]:
    """Returns every problem of the search's rule; `tree` is the study's file, `template` its complete experiment."""
    if search is None or search.early_stopping is None:
        return []
    problems = [*_number_of_objectives(search, tree), *_unknown_at_a_rung(search, tree)]
    return [*problems, *_undecayed(template, tree)] if isinstance(search.early_stopping, Branching) else problems


def _number_of_objectives(search: Search, tree: Map) -> list[Problem]:
    several, rule = len(search.objectives) > 1, search.early_stopping
    assert rule is not None
    if several == isinstance(rule, Dominance):
        return []
    path = (*_RULE, "kind")
    text, allowed = (
        ("of several objectives", "dominance")
        if several
        else ("of one objective", "promotion | learned | asha | hyperband | median | threshold | patient")
    )
    return [Problem(f"a search {text} is not stopped by this rule", path, mark_at(tree, path), allowed, rule.kind)]


def _unknown_at_a_rung(search: Search, tree: Map) -> list[Problem]:
    path: KeyPath = ("search", "objective")
    known = AT_A_RUNG if len(search.objectives) > 1 else AT_A_RUNG[:1]
    text = "early stopping needs an objective that is known at a rung"
    return [
        Problem(text, path, mark_at(tree, path), " | ".join(known), each.metric)
        for each in search.objectives
        if each.metric not in known
    ]


def _undecayed(template: Map, tree: Map) -> list[Problem]:
    optimizer: Any = template.get("optimizer")
    shape = optimizer.get("shape", "linear") if isinstance(optimizer, dict) else "linear"
    if shape == "wsd":
        return []
    path: KeyPath = ("experiment", "optimizer", "shape")
    rule = (
        "promotion and learned rank runs by branches that decay, and they leave a constant rate: an undecayed or "
        "half-decayed one ranks wrongly"
    )
    return [Problem(rule, path, mark_at(tree, path) or mark_at(tree, _RULE), "wsd", shown_value(shape))]
