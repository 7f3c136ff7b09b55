"""The keys that a spec accepts at a path of a tree, their descriptions, and the other kinds a mapping could have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from pld_search.errors import KeyPath


def keys_at(cls: type[BaseModel], tree: Any, path: KeyPath, without: str = "") -> list[str]:
    """Returns the keys that the spec accepts at `path` of this tree, in the order of the spec.

    If the mapping may have several forms, forms with the key `without` are left out, because that key was refused.
    """
    keys: dict[str, None] = {}
    for model in _models_at(cls, tree, path):
        own = [field.alias or name for name, field in model.model_fields.items()]
        keys.update(dict.fromkeys(own if without not in own else ()))
    return list(keys)


def described(cls: type[BaseModel], tree: Any, path: KeyPath) -> str | None:
    """Returns the spec's description of the key at `path`."""
    for model in _models_at(cls, tree, path[:-1]):
        for name, field in model.model_fields.items():
            if (field.alias or name) == path[-1]:
                return field.description
    return None


def _models_at(cls: type[BaseModel], tree: Any, path: KeyPath) -> list[type[BaseModel]]:
    found, last = _every_model_at(cls, tree, path)
    return _fitting(found, last)


def _every_model_at(cls: type[BaseModel], tree: Any, path: KeyPath) -> tuple[list[type[BaseModel]], Any]:
    """Returns every member of the union at `path`, whether or not the tree fits it, and the subtree at `path`."""
    models = [cls]
    for part in path:
        models = _fitting(models, tree)
        tree = tree[part] if isinstance(tree, dict | list) else None  # type: ignore[index]
        if not isinstance(part, int):
            fields = [
                model.model_fields[name]
                for model in models
                for name in model.model_fields
                if (model.model_fields[name].alias or name) == part
            ]
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return models, tree


def kinds_with(cls: type[BaseModel], tree: Any, path: KeyPath, key: str) -> list[str]:
    """Returns the kinds that the mapping at `path` could have and that accept `key`, in the order of the spec; empty
    if the mapping has only one form.
    """
    models, _ = _every_model_at(cls, tree, path)
    return [
        kind
        for model in models
        if "kind" in model.model_fields
        and any((field.alias or name) == key for name, field in model.model_fields.items())
        for kind in get_args(model.model_fields["kind"].annotation)
    ]


def _fitting(models: list[type[BaseModel]], tree: Any) -> list[type[BaseModel]]:
    """Returns the union's members with the tree's `kind`, else the members with which it shares the most keys."""
    if len(models) < 2 or not isinstance(tree, dict):
        return models
    kind = tree.get("kind")
    same = [
        model
        for model in models
        if "kind" in model.model_fields and kind in get_args(model.model_fields["kind"].annotation)
    ]
    if same:
        return same
    hits = [sum((field.alias or name) in tree for name, field in model.model_fields.items()) for model in models]
    return [model for model, count in zip(models, hits, strict=True) if count == max(hits)]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
