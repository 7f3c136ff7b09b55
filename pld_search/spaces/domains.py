"""Domains: the values of a tree that a study leaves open and that the search closes.

    optimizer: {lr: {log: [1e-4, 2e-3]}}  # float, log and int: [low, high], both included; step: optional
    schedule: {choice: {falling: {...}, rising: {...}}}  # mappings by name; domains inside are asked only when chosen
    norm: {choice: [pre, post], prior: pre}                     # or single values; prior: a belief

The name of a parameter is its dotted path, including the names of choices: `schedule`, `schedule.falling.temporal.end`.
Bounds may have a unit (`{log: [10 / run, 1000 / run]}`); the number is sampled and written back with the unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from pld_search.errors import ConfigError, KeyPath, Position, Problem, dotted
from pld_search.frozen import Spec
from pld_search.schedules.units import exact, plain, split
from pld_search.specs.synonyms import meant
from pld_search.specs.tree_changes import DOMAINS
from pld_search.specs.validate import shown_value
from pld_search.specs.yaml_io import Map, Seq, copied, mark_at

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ALLOWED = (
    "{choice: [...]} | {choice: {name: {...}}} | {float: [a, b]} | {log: [a, b]} | {int: [a, b]}; float and int "
    "with step:"
)
_MOST_VALUES = 1_000_000


class Choice(Spec):
    """One of `options`: single values, or the names of whole mappings. `prior` is the option believed to be the
    best.
    """

    kind: Literal["choice"] = "choice"
    options: tuple[Scalar, ...]
    prior: Scalar | None = None

    def values(self) -> tuple[Any, ...]:
        """Returns every value, in the order written."""
        return self.options

    def holds(self, value: Any) -> bool:
        """Whether a value equals one of the options in value and type: 1 is not 1.0."""
        return any(option == value and type(option) is type(value) for option in self.options)

    def written(self, value: Any) -> Any:
        """Returns the form in which a sampled value stands in the tree."""
        return value


class Number(Spec):
    """A number in [low, high]: spaced evenly (`float`, `int`) or evenly in its logarithm (`log`). With a `step` it lies
    on a grid from low. `prior` is the value believed to be the best.
    """

    kind: Literal["float", "log", "int"]
    low: float
    high: float
    step: float | None = None
    unit: str = ""
    prior: float | None = None

    def values(self) -> tuple[Any, ...] | None:
        """Returns every value of a grid; None if there are infinitely many."""
        step = self.step or (1 if self.kind == "int" else None)
        if step is None:
            return (self.low,) if self.low == self.high else None
        count = int((exact(self.high) - exact(self.low)) / exact(step)) + 1
        number = int if self.kind == "int" else float
        return tuple(number(exact(self.low) + index * exact(step)) for index in range(count))

    def holds(self, value: Any) -> bool:
        """Whether a value is a number of the right kind in [low, high]; the grid is not checked."""
        fits = isinstance(value, int) if self.kind == "int" else isinstance(value, int | float)
        return fits and not isinstance(value, bool) and self.low <= value <= self.high

    def written(self, value: Any) -> Any:
        """Returns the form in which a sampled number stands in the tree, with the unit of the bounds if they have
        one.
        """
        number = int(value) if self.kind == "int" else float(value)
        return f"{plain(exact(number))} {self.unit}" if self.unit else number


Domain = Annotated[Choice | Number, Field(discriminator="kind")]
Suggest = Callable[[str, Choice | Number], Any]


def is_domain(tree: Any) -> bool:
    """Whether a value of a tree is a domain: a mapping with `choice`, `float`, `log` or `int`."""
    return isinstance(tree, dict) and bool(DOMAINS & set(tree))


def read(tree: Map, path: KeyPath = ()) -> Choice | Number:
    """Reads the domain in a mapping, without nested domains. Raises ConfigError at its mark; `path` is its path in the
    file.
    """
    (head, *others) = [key for key in tree if key in DOMAINS]
    allowed = {head, "prior", "step"} if head in ("float", "int") else {head, "prior"}
    for key in tree:
        if key not in allowed:
            rule = "a domain has one form" if others else f"a {head} domain has no such key"
            suggestion = None if others else meant(key, allowed - {head})
            raise ConfigError(Problem(rule, (*path, key), tree.marks_of(key)[0], _ALLOWED, suggestion=suggestion))
    return _choice(tree, (*path, head)) if head == "choice" else _number(tree, head, (*path, head))


def _choice(tree: Map, path: KeyPath) -> Choice:
    options, mark = tree["choice"], mark_at(tree, ("choice",))
    if not isinstance(options, dict | list) or not options:
        raise ConfigError(
            Problem("a choice holds a list of values, or mappings by name", path, mark, given=shown_value(options))
        )
    problems: list[Problem] = []
    items: Iterable[tuple[Any, Any]] = options.items() if isinstance(options, dict) else enumerate(options)
    for key, value in items:
        where = mark_at(tree, ("choice", key), "key")
        if isinstance(options, dict) and not _NAME.fullmatch(key):
            problems.append(Problem("the name of a choice is letters, digits, - and _", (*path, key), where, given=key))
        if isinstance(options, dict) and not isinstance(value, dict):
            rule = "a named choice holds a whole mapping; single values go in a list: {choice: [a, b]}"
            problems.append(Problem(rule, (*path, key), mark_at(tree, ("choice", key)), given=shown_value(value)))
        if isinstance(options, list) and not isinstance(value, bool | int | float | str):
            problems.append(
                Problem(
                    "a list of choices holds single values; mappings need names: {choice: {name: {...}}}",
                    (*path, key),
                    where,
                )
            )
        elif isinstance(options, list) and any(
            value == other and type(value) is type(other) for other in options[:key]
        ):
            problems.append(Problem("the same choice twice", (*path, key), where, given=shown_value(value)))
    if problems:
        raise ConfigError(problems)
    found = Choice(options=tuple(options))
    if "prior" not in tree:
        return found
    prior = tree["prior"]
    if not found.holds(prior):
        said = " | ".join(str(option) for option in found.options)
        raise ConfigError(
            Problem("a prior is one of the options", (*path[:-1], "prior"), mark_at(tree, ("prior",)), said, prior)
        )
    return Choice(options=found.options, prior=prior)


def _number(tree: Map, head: str, path: KeyPath) -> Number:
    bounds, mark = tree[head], mark_at(tree, (head,))
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise ConfigError(Problem(f"a {head} domain is [low, high]", path, mark, given=shown_value(bounds)))
    (low, unit), (high, other) = (
        _bound(bound, head, (*path, index), mark_at(bounds, (index,))) for index, bound in enumerate(bounds)
    )
    if unit != other:
        raise ConfigError(Problem("both bounds have the same unit", path, mark, given=shown_value(bounds)))
    if low > high:
        raise ConfigError(Problem("low is not above high", path, mark, given=shown_value(bounds)))
    if head == "log" and low <= 0:
        raise ConfigError(Problem("the bounds of a log domain are above 0", path, mark, given=shown_value(bounds)))
    found = Number(kind=head, low=low, high=high, step=_step(tree, head, low, high, unit, path), unit=unit)
    if "prior" not in tree:
        return found
    where, place = (*path[:-1], "prior"), mark_at(tree, ("prior",))
    prior, own = _bound(tree["prior"], head, where, place)
    if own != unit or not low <= prior <= high:
        said = shown_value(bounds)
        raise ConfigError(
            Problem("a prior lies between the bounds, in their unit", where, place, said, shown_value(tree["prior"]))
        )
    return found.model_copy(update={"prior": prior})


def _step(tree: Map, head: str, low: float, high: float, unit: str, path: KeyPath) -> float | None:
    if "step" not in tree:
        return None
    where, mark = (*path[:-1], "step"), mark_at(tree, ("step",))
    step, own = _bound(tree["step"], head, where, mark)
    if step <= 0 or (own and own != unit):
        raise ConfigError(
            Problem("a step is above 0, in the unit of the bounds", where, mark, given=shown_value(tree["step"]))
        )
    count = (exact(high) - exact(low)) / exact(step)
    if count != count.to_integral_value() or count > _MOST_VALUES:
        rule = f"high is a whole number of steps (at most {_MOST_VALUES:,}) above low"
        raise ConfigError(Problem(rule, where, mark, given=shown_value(tree["step"])))
    return step


def _bound(value: Any, head: str, path: KeyPath, mark: Position | None) -> tuple[float, str]:
    try:
        number, unit = split(value)
    except ValueError as error:
        raise ConfigError(Problem(str(error), path, mark, given=shown_value(value))) from None
    if isinstance(value, str) and not unit:
        raise ConfigError(Problem("needs a number", path, mark, given=f'"{value}"'))
    if head == "int" and (number != number.to_integral_value() or isinstance(value, float)):
        raise ConfigError(Problem("an int domain has whole numbers", path, mark, given=shown_value(value)))
    return float(number), unit


def parameters(tree: Any) -> dict[str, Choice | Number]:
    """Returns every parameter of a tree by name, also inside choices. Raises ConfigError with every bad domain."""
    found: dict[str, Choice | Number] = {}
    problems: list[Problem] = []
    for domain_tree, name, path in domains_in(tree):
        try:
            found[dotted(name)] = read(domain_tree, path)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def domains_in(tree: Any, name: KeyPath = (), path: KeyPath = ()) -> Iterator[tuple[Map, KeyPath, KeyPath]]:
    """Yields (mapping, name of the parameter, path in the tree) of every domain, outer ones first, also bad ones."""
    if is_domain(tree):
        yield tree, name, path
        branches = tree.get("choice")
        if isinstance(branches, dict):
            for option, branch in branches.items():
                yield from domains_in(branch, (*name, option), (*path, "choice", option))
    else:
        for key, value in _items(tree):
            yield from domains_in(value, (*name, key), (*path, key))


def sample(tree: Any, suggest: Suggest) -> Any:
    """Returns a copy of `tree` in which `suggest(name, domain)` closes every domain. Domains outside the chosen
    branches are not asked.

    Marks stay: the mark of a closed value is the mark of its option or bound. Raises ValueError when a suggested value
    lies outside its domain.
    """

    def value_of(domain: Choice | Number, name: str) -> Any:
        value = suggest(name, domain)
        if not domain.holds(value):
            raise ValueError(f"{name}: {value!r} lies outside its domain")
        return value

    return _closed(tree, value_of, ())[0]


def _closed(tree: Any, value_of: Callable[[Choice | Number, str], Any], name: KeyPath) -> tuple[Any, Position | None]:
    """Returns the closed tree, and the mark of the value that replaced a domain (None if the tree was no domain)."""
    if is_domain(tree):
        domain = read(tree)
        value = value_of(domain, dotted(name))
        if isinstance(tree.get("choice"), dict):
            branch, mark = _closed(tree["choice"][value], value_of, (*name, value))
            return branch, mark or mark_at(tree, ("choice", value))
        return domain.written(value), _mark_of(tree, domain, value)
    if isinstance(tree, dict):
        source = tree if isinstance(tree, Map) else copied(tree)
        result = Map(mark=source.mark)
        for key, inner in source.items():
            closed, mark = _closed(inner, value_of, (*name, key))
            marks = source.marks_of(key)
            result.put(key, closed, (marks[0], mark or marks[1]))
        return result, None
    if isinstance(tree, list):
        pairs = [_closed(item, value_of, (*name, index)) for index, item in enumerate(tree)]
        old = [mark_at(tree, (index,)) for index in range(len(tree))]
        return Seq(
            [item for item, _ in pairs],
            getattr(tree, "mark", None),
            [mark or old[i] for i, (_, mark) in enumerate(pairs)],
        ), None
    return tree, None


def _mark_of(tree: Map, domain: Choice | Number, value: Any) -> Position | None:
    if isinstance(domain, Choice):
        return mark_at(tree, ("choice", domain.options.index(value)))
    index = 0 if value == domain.low else 1 if value == domain.high else None
    return mark_at(tree, (domain.kind,) if index is None else (domain.kind, index))


def variants(tree: Any) -> list[Any]:
    """Returns a few closed trees that together contain every branch of every choice and both bounds of every range, for
    checks of an open tree.
    """
    return [close(tree, values) for values in _covering(tree, ())]


def _covering(tree: Any, name: KeyPath) -> list[dict[str, Any]]:
    if is_domain(tree):
        domain, key = read(tree), dotted(name)
        if isinstance(tree.get("choice"), dict):
            return [
                {key: option, **inner}
                for option, branch in tree["choice"].items()
                for inner in _covering(branch, (*name, option))
            ]
        ends = (
            domain.options
            if isinstance(domain, Choice)
            else tuple(_as_number(domain, end) for end in dict.fromkeys((domain.low, domain.high)))
        )
        return [{key: end} for end in ends]
    result: list[dict[str, Any]] = [{}]
    for key, inner in _items(tree):
        parts = _covering(inner, (*name, key))
        longer = max(len(result), len(parts))
        result = [{**result[min(i, len(result) - 1)], **parts[min(i, len(parts) - 1)]} for i in range(longer)]
    return result


def _items(tree: Any) -> Iterable[tuple[Any, Any]]:
    """Returns key and value of every item of a mapping or a list; nothing for a scalar."""
    return tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()


def _as_number(domain: Number, value: float) -> int | float:
    return int(value) if domain.kind == "int" else value


def size(tree: Any) -> int | None:
    """Returns the number of combinations of a tree: a product over mappings, a sum over the branches of a choice. None
    means infinitely many.
    """
    if is_domain(tree):
        domain = read(tree)
        branches = tree.get("choice")
        if isinstance(branches, dict):
            sizes = [size(branch) for branch in branches.values()]
            return None if None in sizes else sum(count for count in sizes if count)
        values = domain.values()
        return None if values is None else len(values)
    inner = [size(value) for _, value in _items(tree)]
    return None if None in inner else math.prod(count for count in inner if count is not None)


def combinations(tree: Any, name: KeyPath = ()) -> Iterator[dict[str, Any]]:
    """Yields the parameters of every combination of a finite tree, in the order written. Raises ValueError for an
    infinite tree.
    """
    if is_domain(tree):
        domain, key = read(tree), dotted(name)
        branches = tree.get("choice")
        values = domain.values()
        if values is None:
            raise ValueError(f"{key} has infinitely many values")
        for value in values:
            for inner in combinations(branches[value], (*name, value)) if isinstance(branches, dict) else ({},):
                yield {key: value, **inner}
        return
    parts = [list(combinations(inner, (*name, key))) for key, inner in _items(tree) if parameters(inner)]
    for combination in product(*parts):
        yield {key: value for part in combination for key, value in part.items()}


def close(tree: Any, values: Mapping[str, Any]) -> Any:
    """Closes a tree with the values of a known combination. Raises KeyError when a value is missing."""
    return sample(tree, lambda name, _: values[name])
