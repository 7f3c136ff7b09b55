"""JSON Schema of partial mappings: no key is required, since another place may hold it, and keys may be dotted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def without_requirements(schema: Any) -> Any:
    """Returns the schema without titles and without rules that only a complete value has to fulfil."""
    if isinstance(schema, list):
        return [without_requirements(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("required", "discriminator", "title")}
    result = {"anyOf" if key == "oneOf" else key: without_requirements(value) for key, value in kept.items()}
    if isinstance(schema.get("properties"), dict):
        result["properties"] = {key: without_requirements(value) for key, value in schema["properties"].items()}
    return result


def titled(schema: Any) -> Any:
    """Returns the schema with the name of each key as its title, which editors show above the description."""
    if isinstance(schema, list):
        return [titled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: titled(value) for key, value in schema.items()}
    keys = result.get("properties")
    if isinstance(keys, dict):
        result["properties"] = {
            key: {**part, "title": key} if isinstance(part, dict) else part for key, part in keys.items()
        }
    return result


def add_dotted(definitions: dict[str, Json]) -> None:
    """Adds dotted keys beside the nested keys: `optimizer.lr` where `optimizer: {lr: ...}` is accepted."""
    keys = {name: list(_dotted(name, definitions)) for name, schema in definitions.items() if "properties" in schema}
    for name, found in keys.items():
        for key, target in found:
            kind = "patternProperties" if key.startswith("^") else "properties"
            held = definitions[name].setdefault(kind, {}).setdefault(key, {"anyOf": []})
            if target not in held["anyOf"]:
                held["anyOf"].append(target)


def _dotted(name: str, definitions: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    for key, schema in definitions[name].get("properties", {}).items():
        for inner in _alternatives(schema, definitions):
            reference = _definition_of(inner)
            if reference is not None:
                held = definitions[reference].get("properties", {})
                yield from (
                    (f"{key}.{word}", {"$ref": f"#/$defs/{reference}/properties/{word}"})
                    for word in held
                    if "." not in word
                )
                for word, target in _dotted(reference, definitions):
                    yield f"^{key}\\.{word[1:]}" if word.startswith("^") else f"{key}.{word}", target
            elif isinstance(inner.get("additionalProperties"), dict):
                yield rf"^{re.escape(key)}\.", inner["additionalProperties"]


def _alternatives(schema: Json, definitions: dict[str, Json]) -> Iterator[Json]:
    """Yields the alternatives of a schema, except choices of whole blocks."""
    if "anyOf" in schema:
        for inner in schema["anyOf"]:
            yield from _alternatives(inner, definitions)
    elif (reference := schema.get("$ref", "")).count("/") > 2:
        yield from _alternatives(
            definitions[reference.split("/")[2]]["properties"][reference.split("/")[4]], definitions
        )
    elif "choice" not in schema.get("properties", {}):
        yield schema


def _definition_of(schema: Json) -> str | None:
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return name if name and name not in ("Domain", "Saving") else None


def referred(schema: Any) -> Iterator[str]:
    """Yields the names of the definitions that a schema refers to, once for each reference."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].split("/")[2]
        for inner in schema.values():
            yield from referred(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from referred(inner)
