"""The target size of a search (`target:`): its trees, its budget, and its problems."""

from __future__ import annotations

from typing import Any

from pld_search.errors import ConfigError, KeyPath, Problem
from pld_search.spaces.domains import variants
from pld_search.spaces.problem_location import index_of, relocated
from pld_search.spaces.study import Budget, Study
from pld_search.spaces.systems import STUDY_WORDS, WrittenConfigurations
from pld_search.specs.template import ExperimentTemplate
from pld_search.specs.tree_changes import merge
from pld_search.specs.validate import check, shown_value
from pld_search.specs.yaml_io import Map, mark_at

_PATH: KeyPath = ("target", "set")
KEPT: dict[tuple[str, ...], str] = {
    ("schedule",): "the schedule is what the search finds",
    ("seed",): "the seed is the study's",
    ("model", "from"): "the model is the study's",
    **{("data", word): "the data are the study's" for word in ("train", "validation", "test", "document", "tokenizer")},
}
"""Keys that a target cannot change, and why."""


def at_target(study: Study, tree: Any) -> Map:
    """Returns a configuration's tree, with open or closed domains, at the study's target size; unchanged without a
    target.
    """
    merged: Map = merge(tree, _of_experiment(study.target.changes)) if study.target is not None else tree
    return merged


def target_budget(study: Study) -> Budget:
    """Returns the budget of a run of target size; an amount that the target states replaces the study's."""
    changes = study.target.changes.get("budget") if study.target is not None else None
    if changes is None:
        return study.budget
    return check(Budget, merge(study.budget.model_dump(mode="json", exclude_none=True), changes), ("budget",))


def target_problems(tree: Map, found: WrittenConfigurations) -> list[Problem]:
    """Returns the problems of the target of an expanded study; they may include problems of its configurations."""
    target = tree.get("target")
    if not isinstance(target, Map) or "set" not in target:
        return []  # the check of the top level reports missing keys
    changes, mark = target["set"], mark_at(tree, _PATH)
    if not isinstance(changes, Map) or not changes:
        return [
            Problem(
                "changes of the experiment and the budget",
                _PATH,
                mark,
                "{model.hidden: 768, budget.steps: 200000}",
                shown_value(changes),
            )
        ]
    problems = _out_of_place(changes)
    if problems:
        return problems
    index, inner = index_of(tree), _of_experiment(changes)
    trees = [system.tree for system in found.systems.values()] or [found.template]
    for merged in [merge(own, inner) for own in trees]:
        for closed in _closed(merged):
            found_here = [
                relocated(problem, closed, ("experiment",), index)
                for problem in _refused(ExperimentTemplate, closed, ("experiment",))
            ]
            problems += [_at_the_change(problem, ("experiment",), changes) for problem in found_here]
    if "budget" in changes and isinstance(tree.get("budget"), Map):
        budget = merge(tree["budget"], changes["budget"])
        problems += [
            _at_the_change(relocated(problem, budget, ("budget",), index), (), changes)
            for problem in _refused(Budget, budget, ("budget",))
        ]
    return problems


def _at_the_change(problem: Problem, root: KeyPath, changes: Map) -> Problem:
    """Moves a problem of a changed block to the target's part of that block, if the target changes the key."""
    inner = problem.path[len(root) :]
    if not _holds(changes, inner):
        return problem
    return Problem(
        problem.message, (*_PATH, *inner), mark_at(changes, inner), problem.allowed, problem.given, problem.suggestion
    )


def _of_experiment(changes: Map) -> Map:
    rest = changes.copy()
    rest.pop("budget", None)
    return rest


def _out_of_place(changes: Map) -> list[Problem]:
    problems = [
        Problem(
            "a target changes the experiment and the budget only", (*_PATH, word), mark_at(changes, (word,), of="key")
        )
        for word in changes
        if word in STUDY_WORDS and word != "budget"
    ]
    return problems + [
        Problem(f"a target does not change this: {why}", (*_PATH, *path), mark_at(changes, path, of="key"))
        for path, why in KEPT.items()
        if _holds(changes, path)
    ]


def _holds(tree: Any, path: KeyPath) -> bool:
    return not path or (isinstance(tree, Map) and path[0] in tree and _holds(tree[str(path[0])], path[1:]))


def _closed(tree: Map) -> list[Any]:
    try:
        return variants(tree)
    except ConfigError:
        return []  # a bad domain is reported where it was found


def _refused(cls: type[Budget] | type[ExperimentTemplate], tree: Any, path: KeyPath) -> tuple[Problem, ...]:
    try:
        check(cls, tree, path)
    except ConfigError as error:
        return tuple(error.problems)
    return ()
