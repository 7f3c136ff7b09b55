"""Loads a study from its YAML file: reads it, applies `--set`, writes out schedules and checks the whole, with every
problem at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pld_search.errors import ConfigError, Position, Problem
from pld_search.frozen import Spec
from pld_search.schedules.library import shipped
from pld_search.spaces.decide import Decide
from pld_search.spaces.inline_schedules import based, folder_of
from pld_search.spaces.problem_location import in_order
from pld_search.spaces.study import Budget, Confirm, Search, Seeds, Study, System, Target, WrittenSeeds
from pld_search.spaces.study_checks import study_problems
from pld_search.spaces.systems import TOP_WORDS, WrittenConfigurations, configurations, domain_problems
from pld_search.spaces.target import target_problems
from pld_search.spaces.waive import Waive
from pld_search.specs.layer_series import Analysis
from pld_search.specs.spec_files import study_file
from pld_search.specs.tree_changes import SET_FILE, expand, merge, set_tree
from pld_search.specs.validate import check, shown_value
from pld_search.specs.written_schedules import is_place, place
from pld_search.specs.yaml_io import Map, borrowed, copied, load_file, mark_at

__all__ = ["Study", "load_study"]
FINAL_SEQUENCES = 4096
"""Sequences of each split for the losses at the end of a run. With fewer, the text contributes as much to a difference
as the seeds.
"""


class WrittenStudy(Spec):
    """The top level of a study's file; `experiment` and `systems` are checked where they are merged."""

    name: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            description=(
                "letters, digits, . _ and -, a letter or digit first: the name of the study and its "
                "folder; default: the file's name"
            ),
        ),
    ] = None
    about: Annotated[str, Field(description="the study's question, for people")] = ""
    experiment: Annotated[Any, Field(description="the template; every configuration is a change of it")]
    budget: Annotated[
        Budget,
        Field(
            description=(
                "the budget of a run: {steps: N}, {tokens: N}, {flops: X} or {seconds: S}, and equal: "
                "flops | steps | seconds"
            )
        ),
    ]
    systems: Annotated[
        dict[str, Any], Field(description="rows of every comparison: name -> changes of the experiment, tune, seeds")
    ] = {}
    reference: Annotated[str | None, Field(description="the system with which all others are compared")] = None
    seeds: Annotated[
        WrittenSeeds,
        Field(
            description=(
                "runs of every configuration; {min: 1, max: 5}: more for sampled configurations near the front"
            )
        ),
    ] = 1
    search: Search | None = None
    confirm: Annotated[
        Confirm | None,
        Field(description=("fresh seeds for the best configurations; only these are tested: {top: 2, seeds: 5}")),
    ] = None
    decide: Annotated[
        Decide | None,
        Field(description=("the metric and the numbers of the verdicts: {primary: valid/loss, margin: 0.01 nats}")),
    ] = None
    waive: Annotated[
        Waive | None,
        Field(
            description=("conditions of a fair comparison that the study waives, and why: {tuning: WHY, depth: WHY}")
        ),
    ] = None
    analysis: Annotated[
        Analysis | None,
        Field(description=("analyses of the layers while runs train: {every: 10 %}; never part of a run's identity")),
    ] = None
    target: Annotated[
        Target | None, Field(description="the size for which the search is done: {set: CHANGES, runs: N}")
    ] = None


def load_study(source: str | Path, sets: Sequence[str] = (), environment: Map | None = None) -> Study:
    """Loads the study in a file, or the shipped study of this name. The changes of `environment` come on top, and
    `sets` (`optimizer.lr=1e-3`, `budget.steps=100`) on top of both.

    Raises ConfigError with every problem of the file, each at its place. A problem that a `--set` causes in a shipped
    study is placed at the `--set`, not at a line of the shipped file.
    """
    path = study_file(source)
    name = str(source) if path in shipped("spaces").values() else ""
    try:
        return _loaded(path, name, sets, environment)
    except ConfigError as error:
        if not name or not any(sets):
            raise
        blamed = [_located_at_set(problem, path, name, sets, environment) for problem in error.problems]
        raise ConfigError(in_order(blamed)) from error


def _located_at_set(problem: Problem, path: Path, name: str, sets: Sequence[str], environment: Map | None) -> Problem:
    """Moves a problem in the shipped file to the `--set` without which the problem disappears."""
    if problem.mark is None or problem.mark.file != str(path):
        return problem
    for index, change in enumerate(sets):
        if not change:
            continue
        left: tuple[Problem, ...] = ()
        try:
            _loaded(path, name, [*sets[:index], "", *sets[index + 1 :]], environment)
        except ConfigError as error:
            left = error.problems
        if problem not in left:
            return problem.at(Position(SET_FILE, index + 1, 1))
    return problem


def _loaded(path: Path, name: str, sets: Sequence[str], environment: Map | None) -> Study:
    tree = _read(load_file(path), name, sets, environment)
    problems: list[Problem] = []
    written = _top(tree, problems)
    found = configurations(tree)
    problems += found.problems
    if written is not None:
        problems += [*study_problems(written, tree, found), *target_problems(tree, found)]
    if problems or written is None:
        raise ConfigError(in_order(problems))
    return _study(written, found, path)


def _read(written: Map, name: str, sets: Sequence[str], environment: Map | None) -> Map:
    """Returns the file's tree with dotted keys expanded, a referenced experiment written in, and the changes of the
    environment and of `--set` merged on top. `name` is the name of a shipped study, else empty.
    """
    tree = _with_experiment(_expanded(borrowed(written, name) if name else written))
    changes = merge(environment or Map(mark=Position(SET_FILE, 1, 1)), set_tree(sets))
    if not changes:
        return tree
    routed = Map(mark=Position(SET_FILE, 1, 1))
    for word, value in changes.items():
        if word in TOP_WORDS:
            routed = merge(routed, _single(word, value, changes))
        else:
            inner = _single(word, value, changes)
            routed = merge(routed, _single("experiment", inner, Map(mark=inner.mark)))
    merged: Map = merge(_based(tree, routed), routed)
    return _with_experiment(merged)


def _based(tree: Map, changes: Map) -> Map:
    """Returns the study's tree; schedules with keys that `changes` change are written out (inline_schedules.based)."""
    result = tree.copy()
    if isinstance(tree.get("experiment"), Map):
        result.put("experiment", based(tree["experiment"], changes.get("experiment")), tree.marks_of("experiment"))
    systems, of_systems = tree.get("systems"), changes.get("systems")
    if isinstance(systems, Map) and isinstance(of_systems, Map):
        bodies = systems.copy()
        for name in [name for name in of_systems if isinstance(systems.get(name), Map)]:
            bodies.put(name, based(systems[name], of_systems[name]), systems.marks_of(name))
        result.put("systems", bodies, tree.marks_of("systems"))
    return result


def _single(key: str, value: Any, source: Map) -> Map:
    single = Map(mark=source.marks_of(key)[0])
    single.put(key, value, source.marks_of(key))
    return single


def _expanded(tree: Map) -> Map:
    """Expands dotted keys, but not in the names of systems, which may contain dots."""
    rest = tree.copy()
    systems = rest.pop("systems", None)
    problems: list[Problem] = []
    try:
        result: Map = expand(rest)
    except ConfigError as error:
        problems += error.problems
        result = Map(mark=tree.mark)
    if isinstance(systems, Map):
        bodies = Map(mark=systems.mark)
        for name, body in systems.items():
            try:
                bodies.put(name, expand(body, ("systems", name)), systems.marks_of(name))
            except ConfigError as error:
                problems += error.problems
        systems = bodies
    if problems:
        raise ConfigError(in_order(problems))
    if "systems" in tree:
        result.put("systems", systems, tree.marks_of("systems"))
    return result


def _with_experiment(tree: Map) -> Map:
    """Replaces `experiment: PLACE`, or the name of a shipped study, by the block in that file (its `experiment:`, or
    the whole file).
    """
    written = tree.get("experiment")
    if not isinstance(written, str):
        return tree
    mark = mark_at(tree, ("experiment",))
    path = place(written, folder_of(mark)) if is_place(written) else shipped("spaces").get(written)
    if path is None or not path.is_file():
        raise ConfigError(
            Problem(
                "no such experiment: a file, or the name of a shipped study",
                ("experiment",),
                mark,
                " | ".join(shipped("spaces")),
                written,
            )
        )
    other = _expanded(load_file(path))
    block = other.get("experiment", other)
    if not isinstance(block, Map):
        raise ConfigError(Problem("the file holds no experiment", ("experiment",), mark, given=written))
    block = _anchored(block, path.parent.absolute())
    result = tree.copy()
    result.put(
        "experiment", block if is_place(written) else borrowed(block, written, mark), tree.marks_of("experiment")
    )
    return result


def _anchored(block: Map, folder: Path) -> Map:
    """Makes the relative places (`./x`) of data, model and tasks of an experiment from another folder absolute."""

    def anchored(value: Any) -> Any:
        if isinstance(value, str):
            return str(folder / value) if value.startswith(("./", "../")) else value
        if isinstance(value, dict):
            for key, inner in value.items():
                value[key] = anchored(inner)
        elif isinstance(value, list):
            value[:] = [anchored(inner) for inner in value]
        return value

    result: Map = copied(block)
    for word in ("data", "evaluation", "model"):
        if word in result:
            anchored(result[word])
    return result


def _top(tree: Map, problems: list[Problem]) -> WrittenStudy | None:
    """Checks the top level. A domain where results would not be comparable is reported as such."""
    closed = tree.copy()
    closed_words = [word for word in tree if word not in ("experiment", "systems")]
    for word in closed_words:
        refused = domain_problems(tree[word], (word,))
        if refused:
            problems += refused
            closed.put(word, _without_domains(tree[word]), tree.marks_of(word))
    if isinstance(tree.get("systems"), dict):
        closed.put("systems", Map(), tree.marks_of("systems"))
    if tree.get("experiment") is not None:
        closed.put("experiment", {}, tree.marks_of("experiment"))
    if not isinstance(tree.get("experiment"), dict | None):
        given = shown_value(tree["experiment"])
        problems.append(
            Problem(
                "an experiment is a mapping, a place or the name of a shipped study",
                ("experiment",),
                mark_at(tree, ("experiment",)),
                given=given,
            )
        )
    try:
        return check(WrittenStudy, closed)
    except ConfigError as error:
        problems += error.problems
        return None


def _without_domains(tree: Any) -> Any:
    """Replaces every domain of the tree by its first bound or option, so that the rest can be checked."""
    if isinstance(tree, dict):
        for word in ("choice", "float", "log", "int"):
            if word in tree:
                values = tree[word]
                return next(iter(values), 1) if isinstance(values, list | dict) else values
        result: Map = copied(tree)
        for key in result:
            result[key] = _without_domains(result[key])
        return result
    return tree


def _with_final(tree: Map) -> Map:
    """Returns an experiment's tree with `validation.final` written in. This default applies to studies written now, and
    not to studies recorded before the key existed.
    """
    if not tree:
        return tree
    mark = tree.marks_of("validation")[0] if "validation" in tree else tree.mark
    validation = tree["validation"].copy() if "validation" in tree else Map(mark=mark)
    if "final" not in validation:
        validation.put("final", max(FINAL_SEQUENCES, validation.get("sequences", 0)), (mark, mark))
    result = tree.copy()
    result.put("validation", validation, (mark, mark))
    return result


def _study(written: WrittenStudy, found: WrittenConfigurations, path: Path) -> Study:
    systems = tuple(
        System(
            name=name,
            tree=_with_final(system.tree),
            changes=system.changes,
            tune=system.tune,
            rates=system.rates,
            seeds=system.seeds,
        )
        for name, system in found.systems.items()
    )
    return Study(
        name=written.name or path.stem,
        about=written.about,
        experiment=_with_final(found.template),
        budget=written.budget,
        systems=systems,
        reference=written.reference,
        seeds=written.seeds.min if isinstance(written.seeds, Seeds) else written.seeds,
        most_seeds=written.seeds.max if isinstance(written.seeds, Seeds) else None,
        search=written.search,
        references=found.references,
        target=written.target,
        confirm=written.confirm,
        decide=written.decide,
        waive=written.waive,
        analysis=written.analysis,
        base=str(path.parent.absolute()),
    )
