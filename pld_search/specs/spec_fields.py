"""What a spec admits at a path of a tree: its keys, their descriptions, and the other kinds a mapping could have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from pld_search.errors import KeyPath


def keys_at(cls: type[BaseModel], tree: Any, path: KeyPath, without: str = "") -> list[str]:
    """The keys that the spec admits at `path` of this tree, in the order of the spec.

    Of several forms a mapping could have, those that have the key `without` are left out: it was refused.
    """
    keys: dict[str, None] = {}
    for model in _models_at(cls, tree, path):
        own = [field.alias or name for name, field in model.model_fields.items()]
        keys.update(dict.fromkeys(own if without not in own else ()))
    return list(keys)


def described(cls: type[BaseModel], tree: Any, path: KeyPath) -> str | None:
    """What the spec says about the key at `path`."""
    for model in _models_at(cls, tree, path[:-1]):
        for name, field in model.model_fields.items():
            if (field.alias or name) == path[-1]:
                return field.description
    return None


def _models_at(cls: type[BaseModel], tree: Any, path: KeyPath) -> list[type[BaseModel]]:
    found, last = _every_model_at(cls, tree, path)
    return _fitting(found, last)


def _every_model_at(cls: type[BaseModel], tree: Any, path: KeyPath) -> tuple[list[type[BaseModel]], Any]:
    """Every member of the union at `path`, whichever the tree there fits, and the tree there."""
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
    """The kinds that the mapping at `path` could have and that admit `key`, in the order of the spec; none where there
    is one form only.
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
    """Of a union's members those of the tree's `kind`, else those whose required keys it holds most of."""
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
