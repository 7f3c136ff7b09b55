"""Checks between the parts of a study: references, budgets, open domains and who closes them, names of metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pld_search.errors import ConfigError, KeyPath, Problem
from pld_search.spaces import metric_names
from pld_search.spaces.constraints import parse
from pld_search.spaces.decide import Decide
from pld_search.spaces.domains import parameters
from pld_search.spaces.early_stopping_checks import early_stopping_problems
from pld_search.spaces.flat_space import FlatSpace
from pld_search.spaces.study import Budget, Search
from pld_search.spaces.systems import NO_DOMAIN, WrittenConfigurations, open_domains
from pld_search.spaces.tune_grid import RATE
from pld_search.specs.synonyms import meant
from pld_search.specs.tree_changes import DOMAINS
from pld_search.specs.validate import shown_value
from pld_search.specs.yaml_io import Map, mark_at

_COSTS: tuple[KeyPath, ...] = (
    ("model", "layers"),
    ("model", "hidden"),
    ("model", "heads"),
    ("model", "intermediate"),
    ("data", "length"),
    ("data", "masking"),
    ("batch",),
    ("schedule",),
    ("growth",),
)
"""Keys that decide the FLOPs of a run. If one is open in the reference, `equal` has no amount to match."""


class Top(Protocol):
    """The checked top level of a study."""

    @property
    def budget(self) -> Budget:
        """The budget that decides the steps of each configuration."""

    @property
    def reference(self) -> str | None:
        """The system to which all others are compared; None: no comparison."""

    @property
    def search(self) -> Search | None:
        """The search; None if there are only systems."""

    @property
    def decide(self) -> Decide | None:
        """The decision rule of the study; None if none is stated."""


def study_problems(top: Top, tree: Map, found: WrittenConfigurations) -> list[Problem]:
    """Returns every problem between the parts. `tree` is the expanded file, `found` its configurations, which hold
    their own problems.
    """
    problems = [*_reference(top, tree, found), *_metric_names(top, tree, found)]
    problems += [*_until(top, tree), *early_stopping_problems(top.search, tree, found.template)]
    try:
        problems += [*_openings(top, tree, found), *_search_space(top, tree, found)]
    except ConfigError:
        return problems  # a bad domain is reported where it was found
    return problems


def _until(top: Top, tree: Map) -> list[Problem]:
    if top.search is None or top.search.until is None or len(top.search.objectives) == 1:
        return []
    path = ("search", "until")
    return [
        Problem(
            "the remaining improvement is estimated only for a search with one objective", path, mark_at(tree, path)
        )
    ]


def _reference(top: Top, tree: Map, found: WrittenConfigurations) -> list[Problem]:
    names = list(found.systems)
    if top.reference is not None and top.reference not in names:
        mark, suggestion = mark_at(tree, ("reference",)), meant(top.reference, names)
        return [
            Problem(
                "no system of this name",
                ("reference",),
                mark,
                " | ".join(names) or "a name under systems:",
                top.reference,
                suggestion,
            )
        ]
    if top.decide is not None and top.reference is None:
        rule = "decides about differences to what? state the reference"
        return [Problem(rule, ("decide",), mark_at(tree, ("decide",), of="key"), "reference: NAME OF A SYSTEM")]
    if top.budget.equal is not None and top.reference is None:
        mark = mark_at(tree, ("budget", "equal"))
        return [
            Problem(
                "an equal budget needs a reference",
                ("budget", "equal"),
                mark,
                "reference: NAME OF A SYSTEM",
                top.budget.equal,
            )
        ]
    return []


def _openings(top: Top, tree: Map, found: WrittenConfigurations) -> list[Problem]:
    problems: list[Problem] = []
    for name, system in found.systems.items():
        path: KeyPath = ("systems", name)
        opened = [(word, inner) for word, inner in open_domains(system.tree) if not _refused(inner)]
        if system.rates is not None:
            opened = [(word, inner) for word, inner in opened if inner != RATE]
        if opened and system.tune is None:
            rule = "a domain that this system leaves open; close it, or state tune: TRIALS"
            problems += [Problem(rule, path, mark_at(tree, path, of="key"), given=word) for word, _ in opened]
        if not opened and system.tune is not None and not _misspelt_domains(found):
            problems.append(
                Problem(
                    "nothing to tune: the system leaves no domain open", (*path, "tune"), mark_at(tree, (*path, "tune"))
                )
            )
    if top.budget.equal is not None and top.reference in found.systems:
        problems += _open_costs(tree, top.reference, found.systems[top.reference].tree)
    return problems


def _refused(path: KeyPath) -> bool:
    """Whether a domain at this path was already refused, so that no part of the study has to close it."""
    return any(path[: len(fixed)] == fixed for fixed in NO_DOMAIN)


def _misspelt_domains(found: WrittenConfigurations) -> bool:
    return any(problem.suggestion in DOMAINS for problem in found.problems)


def _open_costs(tree: Map, name: str, system: Map) -> list[Problem]:
    rule = "the reference leaves open what decides its FLOPs, so no budget can be equal to its; close it"
    path: KeyPath = ("systems", name)
    return [
        Problem(rule, path, mark_at(tree, path, of="key"), given=word)
        for word, inner in open_domains(system)
        if any(inner[: len(cost)] == cost or inner == cost[: len(inner)] for cost in _COSTS)
    ]


def _search_space(top: Top, tree: Map, found: WrittenConfigurations) -> list[Problem]:
    domains = parameters(found.template)
    if top.search is None:
        if domains and not found.systems:
            rule = (
                "an open domain in a study that neither searches nor compares systems; give a value, or search: "
                "{trials: N}"
            )
            return [
                Problem(rule, ("experiment", *path), mark_at(tree, ("experiment", *path)), given=word)
                for word, path in open_domains(found.template)
            ]
        return []
    if not domains and not _misspelt_domains(found):
        return [
            Problem(
                "nothing to search: the experiment has no domain", ("search",), mark_at(tree, ("search",), of="key")
            )
        ]
    if problems := [*_start_with(top.search, tree, found), *_learn_from(top.search, tree)]:
        return problems
    if top.search.sampler == "bruteforce":
        endless = [name for name, domain in domains.items() if domain.values() is None]
        if endless:
            rule = "bruteforce needs finitely many values: give a step, or a choice"
            return [
                Problem(rule, ("search", "sampler"), mark_at(tree, ("search", "sampler")), given=", ".join(endless))
            ]
    return []


def _start_with(search: Search, tree: Map, found: WrittenConfigurations) -> Iterator[Problem]:
    """Yields the problems of the configurations with which a search starts."""
    if search.start_with and search.sampler == "bruteforce":
        path: KeyPath = ("search", "start_with")
        yield Problem("bruteforce visits every configuration in its own order", path, mark_at(tree, path))
    flats = {flat.name: flat for flat in FlatSpace(found.template).parameters} if search.start_with else {}
    for place, given in enumerate(search.start_with):
        for name, value in given.items():
            path = ("search", "start_with", place, name)
            mark = mark_at(tree, path)
            if name not in flats:
                yield Problem("no parameter of this name", path, mark, " | ".join(flats), suggestion=meant(name, flats))
            elif not flats[name].domain.holds(value):
                yield Problem("lies outside its domain", path, mark, given=shown_value(value))
            elif any(given.get(choice) != option for choice, option in flats[name].conditions):
                wanted = ", ".join(f"{choice}: {option}" for choice, option in flats[name].conditions)
                yield Problem("this value needs the choice of its branch beside it", path, mark, wanted)


def _learn_from(search: Search, tree: Map) -> Iterator[Problem]:
    """Whether the search has a model that could learn from other studies."""
    path: KeyPath = ("search", "learn_from")
    if search.learn_from and len(search.objectives) > 1:
        yield Problem("a search learns from other studies for one objective", path, mark_at(tree, path))
    elif search.learn_from and search.sampler not in ("auto", "gp"):
        yield Problem(
            "only a model learns from other studies", path, mark_at(tree, path), "sampler: gp | auto", search.sampler
        )


def _metric_names(top: Top, tree: Map, found: WrittenConfigurations) -> list[Problem]:
    """Returns a problem for every downstream metric of a suite that the study does not evaluate."""
    evaluation = found.template.get("evaluation")
    tasks: Any = evaluation.get("tasks", ()) if isinstance(evaluation, dict) else ()
    suites = {"demo"} if tasks == "demo" else {"glue", "task"} if tasks else set()
    named: list[tuple[KeyPath, str]] = []
    if top.search is not None:
        named += [(("search", "objective"), goal.metric) for goal in top.search.objectives]
        texts = enumerate(top.search.constraints)
        named += [(("search", "constraints", index), parse(text).name) for index, text in texts]
    if top.decide is not None and top.decide.primary is not None:
        named.append((("decide", "primary"), top.decide.primary))
    return [
        Problem(
            "the study evaluates no task of this suite",
            path,
            mark_at(tree, path),
            ", ".join(sorted(suites)) or "evaluation: {tasks: ...}",
            name,
        )
        for path, name in named
        if (suite := metric_names.suite_of(name)) is not None and suite not in suites
    ]
