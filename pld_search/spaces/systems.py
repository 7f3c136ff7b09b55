"""The configurations of a study's file: the template and every system as complete trees, checked with open domains.

A tree with domains is checked at a few closed trees (`domains.variants`): every branch of a choice, both ends of a
range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field

from pld_search.errors import ConfigError, KeyPath, Problem, Reason, below
from pld_search.frozen import Spec
from pld_search.schedules.schedule import Schedule
from pld_search.spaces.domains import domains_in, parameters, variants
from pld_search.spaces.inline_schedules import based, complete, solved_anyhow
from pld_search.spaces.problem_location import Index, index_of, relocated, under
from pld_search.spaces.tune_grid import RATE, RATE_NAME, TuneGrid, WrittenTune, opened_at
from pld_search.specs import limits
from pld_search.specs.fitting_options import drifting, of_other_kinds
from pld_search.specs.growth import sizes_of
from pld_search.specs.problems_in_tree import problems_at
from pld_search.specs.template import ExperimentTemplate, ModelFrom
from pld_search.specs.tree_changes import merge
from pld_search.specs.validate import check, shown_value
from pld_search.specs.yaml_io import Map, mark_at

STUDY_WORDS = ("budget", "systems", "reference", "seeds", "search", "target", "confirm", "decide", "waive", "analysis")
TOP_WORDS = (*STUDY_WORDS, "name", "about", "experiment")
"""First words of a path that start at the study; every other path starts at the experiment."""
SAME_FOR_ALL: tuple[KeyPath, ...] = (
    ("evaluation",),
    ("validation",),
    ("divergence",),
    ("seed",),
    ("model", "from"),
    ("data", "train"),
    ("data", "validation"),
    ("data", "test"),
    ("data", "document"),
    ("data", "tokenizer"),
)
"""Keys on which a study's comparison rests: neither a domain nor a system may change them."""
NO_DOMAIN: tuple[KeyPath, ...] = (*SAME_FOR_ALL, ("pretraining",), ("budget_share",))
"""Keys that cannot be a domain. Systems may have different objectives, since downstream scores compare them. A search
has one objective, and losses of different objectives are never compared.
"""
_NOT_COMPARABLE = "results would not be comparable"
Found = tuple[Problem, Any]
"""A problem of a tree, and that tree."""


class Reserved(Spec):
    """The words of a system that are not changes of the experiment."""

    tune: Annotated[
        WrittenTune | None,
        Field(description="trials over the domains that the system leaves open, or {optimizer.lr: [RATE, RATE, RATE]}"),
    ] = None
    seeds: Annotated[
        int | None, Field(ge=1, le=limits.SEEDS, description="runs of this system, in studies that were begun with it")
    ] = None


@dataclass(slots=True)
class WrittenSystem:
    """One system: its complete tree, its changes as a nested tree, and its reserved words."""

    tree: Map
    changes: Map
    tune: int | None
    rates: tuple[float, ...] | None
    seeds: int | None


@dataclass(slots=True)
class WrittenConfigurations:
    """The result of `configurations`; `problems` have the paths under which their values were written."""

    template: Map = field(default_factory=Map)
    systems: dict[str, WrittenSystem] = field(default_factory=dict)
    references: Map = field(default_factory=Map)
    problems: list[Problem] = field(default_factory=list)


def configurations(tree: Map) -> WrittenConfigurations:
    """Returns the template and the systems of an expanded study, checked as far as possible. It raises nothing for user
    errors; they are in `problems`.
    """
    found = WrittenConfigurations()
    if not isinstance(tree.get("experiment"), Map):
        return found
    template: Map = tree["experiment"]
    index = index_of(tree)
    written = tree.get("systems")
    systems = written if isinstance(written, Map) else Map()
    if written is not None and not isinstance(written, Map):
        found.problems.append(
            Problem(
                "systems are mappings by name", ("systems",), mark_at(tree, ("systems",)), given=shown_value(written)
            )
        )
    found.template, of_template = _checked(template, found.references, whole=bool(tree.get("search")) or not systems)
    found.problems += _located(of_template, index)
    of_systems = {
        name: _located(_system(found, template, name, body, systems), index) for name, body in systems.items()
    }
    found.problems += _with_system_names(found.problems, of_systems)
    return found


def _located(found: list[Found], index: Index) -> list[Problem]:
    return [relocated(problem, tree, ("experiment",), index) for problem, tree in found]


def _system(found: WrittenConfigurations, template: Map, name: str, body: Any, systems: Map) -> list[Found]:
    path: KeyPath = ("systems", name)
    if not isinstance(body, Map):
        return [
            (
                Problem(
                    "a system is a mapping of changes ({} for none)",
                    path,
                    mark_at(systems, (name,)),
                    given=shown_value(body),
                ),
                systems,
            )
        ]
    changes, own, problems = body.copy(), Map(mark=body.mark), []
    for word in ("tune", "seeds"):
        if word in changes:
            own.put(word, changes.pop(word), body.marks_of(word))
    for word in [word for word in changes if word in TOP_WORDS]:
        problems.append(Problem("belongs to the study, not to one system", (*path, word), body.marks_of(word)[0]))
        del changes[word]
    problems += [
        Problem(
            f"the same for every system: {_NOT_COMPARABLE}",
            (*path, *fixed),
            mark_at(body, fixed, of="key"),
            suggestion="seeds" if fixed == ("seed",) else None,
        )
        for fixed in SAME_FOR_ALL
        if _holds(changes, fixed)
    ]
    problems += domain_problems(own, path)
    reserved = Reserved()
    if not domain_problems(own, path):
        try:
            reserved = check(Reserved, own, path)
        except ConfigError as error:
            problems += error.problems
    tune, rates = reserved.tune, None
    if isinstance(tune, TuneGrid):
        if _holds(changes, RATE):
            rule = f"its rates stand in tune; take {RATE_NAME} out of the system, or tune: TRIALS over a domain"
            problems.append(Problem(rule, (*path, *RATE), mark_at(body, RATE, of="key")))
        changes, rates, tune = opened_at(changes, tune, body.marks_of("tune")[0]), tune.rates, None
    tree, of_tree = _checked(merge(based(template, changes), changes), found.references, whole=True)
    found.systems[name] = WrittenSystem(tree, changes, tune, rates, reserved.seeds)
    return [*((problem, systems) for problem in problems), *of_tree]


def _checked(tree: Map, references: Map, *, whole: bool) -> tuple[Map, list[Found]]:
    """Returns the tree with schedules written out, and its problems. Only a `whole` tree is checked as an
    experiment.
    """
    root: KeyPath = ("experiment",)
    found: list[Found] = []
    try:
        parameters(tree)
    except ConfigError as error:
        return tree, [(problem.below(root), tree) for problem in error.problems]
    found += [(problem, tree) for problem in _domains_in_shared_parts(tree, root)]
    resolved, has_schedule = tree, "schedule" in tree
    try:
        resolved = complete(tree, references)
        parameters(resolved)  # a schedule's file may also hold domains
    except ConfigError as error:
        found += [(problem, tree) for problem in error.problems]
        resolved, has_schedule = tree, False
    if whole:
        for closed in variants(resolved):
            found += _closed_problems(closed, root, has_schedule)
    return resolved, found


def _closed_problems(closed: Map, root: KeyPath, has_schedule: bool) -> Iterable[Found]:
    problems: list[Problem] = []
    template: ExperimentTemplate | None = None
    schedule: Schedule | None = None
    try:
        template = check(ExperimentTemplate, closed, root)
    except ConfigError as error:
        problems += error.problems
    if has_schedule and isinstance(closed.get("schedule"), Map):
        try:
            schedule = check(Schedule, solved_anyhow(closed["schedule"]), (*root, "schedule"))
        except ConfigError as error:
            problems += error.problems
    if template is not None and schedule is not None:
        problems += under(ConfigError(problems_at(closed, _misfits(template, schedule))), root).problems
    return [(problem, closed) for problem in problems]


def _misfits(template: ExperimentTemplate, schedule: Schedule) -> list[Reason]:
    """Returns the reasons why a schedule does not fit the layers and groups of an experiment, for any number of
    steps.
    """
    if isinstance(template.model, ModelFrom):
        return []  # its layers are known after preparation
    sizes = sizes_of(template.growth, template.model.layers)
    learns, groups = template.pretraining, template.batch.group_sizes
    second = [] if learns is None else learns.run_misfits(template.model.layers, None, groups)
    return [
        *below(("pretraining",), second),
        *below(("schedule",), schedule.misfits(None, sizes, groups)),
        *of_other_kinds(template.model, schedule),
        *drifting(template.optimizer.kind, schedule),
    ]


def _domains_in_shared_parts(tree: Map, root: KeyPath) -> list[Problem]:
    """Returns a problem for every domain, or branch of a choice, that would change a part shared by all
    configurations.
    """
    problems = []
    rule = f"a domain cannot stand here: {_NOT_COMPARABLE}"
    for domain, _, path in domains_in(tree):
        keys = _without_branches(path)
        if not keys:
            problems.append(Problem("the experiment as a whole cannot be a domain", root, domain.mark))
        for fixed in NO_DOMAIN:
            if keys[: len(fixed)] == fixed:
                problems.append(Problem(rule, (*root, *path), mark_at(tree, path)))
            elif keys and keys == fixed[: len(keys)] and isinstance(domain.get("choice"), dict):
                inner = [("choice", name, *fixed[len(keys) :]) for name in domain["choice"]]
                problems += [
                    Problem(rule, (*root, *path, *part), mark_at(domain, part))
                    for part in inner
                    if _holds(domain, part)
                ]
    return problems


def _without_branches(path: KeyPath) -> KeyPath:
    """Returns a path without `choice` and the names of branches, as it will be when the tree is closed."""
    keys: list[str | int] = []
    parts = iter(path)
    for part in parts:
        if part == "choice":
            next(parts)
        else:
            keys.append(part)
    return tuple(keys)


def domain_problems(tree: Any, path: KeyPath) -> list[Problem]:
    """Returns a problem for every domain in a part of the study where domains are not allowed."""
    return [
        Problem(f"a domain cannot stand here: {_NOT_COMPARABLE}", (*path, *inner), mark_at(tree, inner) or domain.mark)
        for domain, _, inner in domains_in(tree)
    ]


def _holds(tree: Any, path: KeyPath) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _with_system_names(of_template: list[Problem], of_systems: dict[str, list[Problem]]) -> list[Problem]:
    """Returns the problems of systems that the template does not have. A problem inside the template that only some
    systems have names these systems.
    """
    known = {_key(problem) for problem in of_template}
    sharing: dict[Any, list[str]] = {}
    for name, problems in of_systems.items():
        for key in dict.fromkeys(_key(problem) for problem in problems):
            sharing.setdefault(key, []).append(name)
    result: list[Problem] = []
    for problem in (problem for problems in of_systems.values() for problem in problems if _key(problem) not in known):
        names, message = sharing[_key(problem)], problem.message
        if len(names) < len(of_systems) and problem.path[:1] == ("experiment",):
            message = f"{message} (in {', '.join(names)})"
        result.append(replace(problem, message=message))
    return result


def _key(problem: Problem) -> Any:
    return problem.mark or problem.path, problem.message


def open_domains(tree: Any) -> list[tuple[str, KeyPath]]:
    """Returns (name, path) of every domain that a tree leaves open, outer ones only."""
    names = [(name, path) for _, name, path in domains_in(tree)]
    return [
        (".".join(map(str, name)), path)
        for name, path in names
        if not any(name != other and name[: len(other)] == other for other, _ in names)
    ]
