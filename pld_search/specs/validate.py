"""Checks a tree against a spec and reports every problem at once, at its place in the file, in words a user can act
on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pld_search.errors import ConfigError, KeyPath, Position, Problem, Refused, below
from pld_search.specs.problems_in_tree import blamed, problems_at
from pld_search.specs.spec_fields import described, keys_at, kinds_with
from pld_search.specs.synonyms import SYNONYMS, meant
from pld_search.specs.yaml_io import mark_at, plain, value_at

Value = TypeVar("Value", bound=BaseModel)


class Refusal(ValueError):
    """A broken rule, raised inside a validator, with a suggestion; `check` puts both into the Problem."""

    def __init__(self, rule: str, suggestion: str | None = None) -> None:
        super().__init__(rule)
        self.suggestion = suggestion


_DOMAIN_FORMS = "a value, or a domain: {choice: [...]} | {float: [a, b]} | {log: [a, b]} | {int: [a, b]}"
_BOUNDS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}
_MAPPING = "needs a mapping"
_NEEDS = {
    "int_type": "needs a whole number",
    "int_from_float": "needs a whole number",
    "float_type": "needs a number",
    "bool_type": "needs true or false",
    "string_type": "needs a text",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "list_type": "needs a list",
    "tuple_type": "needs a list",
}


def check(cls: type[Value], tree: Any, path: KeyPath = ()) -> Value:
    """Validates `tree` (with or without marks) as a `cls`. Texts are not read as numbers, and unknown keys are refused.

    `path` is the place of the tree in its file and is put before every problem's path. Raises ConfigError with every
    problem.
    """
    try:
        return cls.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        raise ConfigError(problems_of(cls, tree, error, path)) from None


def problems_of(cls: type[BaseModel], tree: Any, error: ValidationError, path: KeyPath = ()) -> list[Problem]:
    """Returns every error of a validation as a Problem, in the order of the file."""
    items = error.errors(include_url=False)
    places = [item["loc"] for item in items]
    whole = [
        dict(item)
        for item in items
        if not (item["type"] == "too_short" and any(p[: len(item["loc"])] == item["loc"] != p for p in places))
    ]
    # a list with a wrong item does not also count as too short
    found = [problem for item in whole for problem in _problems(cls, tree, item)]
    named = {(*problem.path[:-1], problem.suggestion) for problem in found if problem.message == _UNKNOWN}
    # a typing error is one problem, not two
    kept = [problem for problem in found if not (problem.message.startswith(_MISSING) and problem.path in named)]
    kept += _other_kinds(cls, tree, kept)
    kept.sort(key=lambda problem: (problem.mark.line, problem.mark.column) if problem.mark else (0, 0))
    return [problem.below(path) for problem in kept]


def _other_kinds(cls: type[BaseModel], tree: Any, found: list[Problem]) -> list[Problem]:
    """Returns a problem for each `kind` that stands beside keys of another kind: the kind may be the mistake."""
    beside: dict[KeyPath, dict[str, list[str]]] = {}
    for problem in found:
        if problem.message == _UNKNOWN and (kinds := kinds_with(cls, tree, problem.path[:-1], str(problem.path[-1]))):
            beside.setdefault(problem.path[:-1], {})[str(problem.path[-1])] = kinds
    problems = []
    for parent, keys in beside.items():
        path = (*parent, "kind")
        shared = [kind for kind in next(iter(keys.values())) if all(kind in kinds for kinds in keys.values())]
        names = ", ".join(f"`{key}`" for key in keys)
        text = f"{names} beside it {'belongs' if len(keys) == 1 else 'belong'} to another kind"
        problems.append(Problem(text, path, mark_at(tree, path), " | ".join(shared) or None, str(value_at(tree, path))))
    return problems


_MISSING = "this key is required"
_UNKNOWN = "unknown key"


def _problems(cls: type[BaseModel], tree: Any, error: dict[str, Any]) -> list[Problem]:
    """Returns the problems of one validation error: one, unless a validator named several places."""
    refused = error.get("ctx", {}).get("error")
    if not isinstance(refused, Refused):
        return [_problem(cls, tree, error)]
    above = written_path(tree, error["loc"], False)
    return problems_at(tree, below(above, refused.reasons))


def _problem(cls: type[BaseModel], tree: Any, error: dict[str, Any]) -> Problem:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    path = written_path(tree, error["loc"], kind == "missing")
    mark = blamed(tree, path)
    if kind == "missing":
        what = described(cls, tree, path)
        return Problem(f"{_MISSING} ({what})" if what else _MISSING, path, mark)
    if kind == "extra_forbidden":
        word = str(path[-1]) if path else ""
        keys = keys_at(cls, tree, path[:-1], without=word)
        return Problem(_UNKNOWN, path, mark_at(tree, path, of="key"), " | ".join(keys) or None, None, meant(word, keys))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(tree, path, mark, context)
    problem = _wrong_value(path, mark, kind, context, given, error["msg"])
    if kind == "string_pattern_mismatch" and (what := described(cls, tree, path)):
        return replace(problem, allowed=what)  # in words, not as a regular expression
    if problem.message == _MAPPING and (keys := keys_at(cls, tree, path)):
        return replace(problem, allowed=f"{{KEY: VALUE}} with {' | '.join(keys)}")
    return problem


def _wrong_kind(tree: Any, path: KeyPath, mark: Position | None, context: Mapping[str, Any]) -> Problem:
    word = str(context.get("discriminator", "kind")).strip("'")
    kinds = [kind.strip(" '") for kind in str(context.get("expected_tags", "")).split(",") if kind.strip(" '")]
    if "tag" not in context:
        return Problem(_MISSING, (*path, word), mark)
    given = str(context["tag"])
    return Problem(
        "no such kind",
        (*path, word),
        mark_at(tree, (*path, word)),
        " | ".join(kinds),
        given,
        meant(given, kinds),
    )


def _wrong_value(
    path: KeyPath, mark: Position | None, kind: str, context: Mapping[str, Any], given: Any, text: str
) -> Problem:
    if isinstance(given, dict) and kind not in ("value_error", "model_type", "missing"):
        return _not_a_domain(path, mark, given)
    shown = shown_value(given)
    if kind in _BOUNDS:
        sign, bound = _BOUNDS[kind]
        return Problem("out of range", path, mark, f"{sign} {_number(context[bound])}", shown)
    if kind == "literal_error":
        words = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return Problem("this word is not allowed here", path, mark, " | ".join(words), shown, meant(str(given), words))
    if kind == "value_error":
        if isinstance(given, dict) and set(given) & set(SYNONYMS) and len(given) <= 3:
            return _not_a_domain(path, mark, given)
        error = context["error"]
        suggestion = error.suggestion if isinstance(error, Refusal) else None
        return Problem(
            str(error), path, mark, given=None if isinstance(given, dict | list) else shown, suggestion=suggestion
        )
    if kind in ("too_short", "string_too_short"):
        least = context.get("min_length", 1)
        return Problem("must not be empty" if least == 1 else f"needs at least {least} items", path, mark)
    if kind == "string_pattern_mismatch":
        return Problem("the value has the wrong form", path, mark, str(context["pattern"]), shown)
    if isinstance(given, str) and kind in ("int_type", "float_type", "bool_type"):
        shown = f'"{shown}"'
    return Problem(_NEEDS.get(kind, text[:1].lower() + text[1:]), path, mark, given=shown)


def _number(bound: float) -> str:
    """Returns a bound as text: a whole number up to 1e16 without an exponent."""
    return f"{int(bound):,}" if bound == int(bound) and abs(bound) <= 1e16 else f"{bound:g}"


def _not_a_domain(path: KeyPath, mark: Position | None, given: dict[str, Any]) -> Problem:
    words = ("choice", "float", "log", "int", "step")
    better = next((word for key in given for word in [meant(str(key), words)] if word), None)
    return Problem(
        "needs one value, not a mapping", path, mark, _DOMAIN_FORMS, "{" + ", ".join(map(str, given)) + "}", better
    )


def shown_value(value: Any) -> str:
    """Returns a value as a user would write it, cut to a line."""
    text = (
        value
        if isinstance(value, str)
        else "nothing"
        if value is None
        else json.dumps(plain(value), ensure_ascii=False, default=str)
    )
    return text if len(text) <= 80 else text[:77] + "..."


def written_path(tree: Any, loc: tuple[int | str, ...], missing: bool) -> KeyPath:
    """Removes the tags of unions from pydantic's location: only parts of the tree stay, and a missing key at the
    end.
    """
    path: list[int | str] = []
    # a mapping with a `kind` has its tag first: in `temporal: {kind: stages, stages: ...}` both words are equal
    entered = True
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if entered and isinstance(tree, dict) and part == tree.get("kind"):
            entered = False
        elif (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        ):
            path.append(part)
            tree, entered = tree[part], True  # type: ignore[index]  # a dict or a list, checked above
        elif missing and last:
            path.append(part)
    return tuple(path)
