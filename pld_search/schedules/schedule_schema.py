"""JSON Schema of schedule files, for editors that complete and check YAML."""

from __future__ import annotations

import copy
from typing import Any

from pld_search.schedules.schedule import Schedule
from pld_search.schedules.schema_parts import Json, add_dotted, titled, without_requirements

_OPEN = ("value", "start", "end", "rate", "power")
_HAS_DOTTED: Json = {"not": {"propertyNames": {"not": {"pattern": "[.]"}}}}
_SAVING: Json = {
    "type": "object",
    "description": "a number solved for a saving: `25 % of blocks`, `25 % of total` or `like NAME`",
    "properties": {"saving": {"type": "string", "pattern": r"^(like .+|.+ of (blocks|total))$"}},
    "required": ["saving"],
    "additionalProperties": False,
}
BASE: Json = {
    "type": "string",
    "minLength": 1,
    "description": "what this is a variation of: a name of the library, or a place: `./mine.yaml`",
}


def schedule_schema() -> Json:
    """Returns the JSON Schema (draft 2020-12) of a schedule file: a complete schedule, or a variation in nested or
    dotted keys. A number may be left open, to be solved.

    The schema describes keys, words, units and ranges. It accepts files that only their combinations, their base or the
    run make invalid (schedules/combinations.py).
    """
    complete = schedule_definitions()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A layer-drop schedule of pld_search",
        "anyOf": [
            titled(complete.pop("Schedule")),
            {"$ref": "#/$defs/Schedule.part", "anyOf": [{"required": ["base"]}, _HAS_DOTTED]},
        ],
        "$defs": titled(complete | _parts()),
    }


def schedule_definitions() -> dict[str, Json]:
    """Returns the schema of every object of a complete schedule by name; `Schedule` is the whole schedule."""
    complete = Schedule.model_json_schema()
    definitions: dict[str, Json] = complete.pop("$defs")
    for definition in definitions.values():
        _open(definition)
    return definitions | {"Saving": copy.deepcopy(_SAVING), "Schedule": complete}


def _parts() -> dict[str, Json]:
    """Returns the same objects in the form of a variation, each under `NAME.part`."""
    definitions = schedule_definitions()
    saving = definitions.pop("Saving")
    definitions["Schedule"]["properties"]["base"] = BASE
    definitions["Schedule"]["description"] = "a variation: another schedule by name or place, and what is different"
    parts = {name: without_requirements(definition) for name, definition in definitions.items()}
    add_dotted(parts | {"Saving": saving})
    return {f"{name}.part": _renamed(part) for name, part in parts.items()}


def _renamed(schema: Any) -> Any:
    """Returns the schema with references to `NAME.part` in place of NAME."""
    if isinstance(schema, list):
        return [_renamed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _renamed(value) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str) and schema["$ref"] != "#/$defs/Saving":
        name, *rest = schema["$ref"].removeprefix("#/$defs/").split("/")
        result["$ref"] = "/".join(("#/$defs", f"{name}.part", *rest))
    return result


def _open(definition: dict[str, Any]) -> None:
    """Accepts `{saving: ...}` wherever a family has a number that can be solved (costs/open_numbers.py)."""
    properties = definition.get("properties", {})
    for name in _OPEN:
        if name in properties:
            properties[name] = _or_saving(properties[name])
    for name in ("stages", "points"):
        for form in properties.get(name, {}).get("oneOf", []):
            if "additionalProperties" in form:
                form["additionalProperties"] = _or_saving(form["additionalProperties"])
            else:
                form["items"]["prefixItems"][1] = _or_saving(form["items"]["prefixItems"][1])
    for form in properties.get("values", {}).get("anyOf", []):
        if "items" in form:
            form["items"] = _or_saving(form["items"])


def _or_saving(schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    return described | {
        "anyOf": [{key: value for key, value in schema.items() if key != "description"}, {"$ref": "#/$defs/Saving"}]
    }
