"""JSON Schema of study and machine files, for editors that complete and check YAML.

The schema is built from the models that check the files. It adds the forms that a file may contain and a model never
sees: a domain in place of a value, dotted keys, a schedule or an experiment by name, and changes in place of whole
blocks. It describes keys, words, units and ranges. `validate` checks the rules for a whole file (a missing block, a
combination, a name of the library).
"""

from __future__ import annotations

from typing import Any

from pld_search.schedules.schedule_schema import BASE, schedule_definitions
from pld_search.schedules.schema_parts import Json, add_dotted, referred, titled, without_requirements
from pld_search.spaces.load_study import WrittenStudy
from pld_search.spaces.systems import SAME_FOR_ALL, Reserved
from pld_search.spaces.target import KEPT
from pld_search.specs.machine import Machine
from pld_search.specs.template import GLUE_TASKS, ExperimentTemplate

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALAR = {"type": ["boolean", "number", "string"]}
_BOUNDS = {
    "type": "array",
    "prefixItems": [{"type": ["number", "string"]}] * 2,
    "items": False,
    "minItems": 2,
    "description": "[low, high], both included",
}
_STEP = {"type": ["number", "string"], "description": "the grid from low, in the unit of the bounds"}
_PRIOR = {"type": ["number", "string", "boolean"], "description": "where the best is believed to lie"}
_NAMES = {"pattern": "^[A-Za-z0-9_-]+$"}
_OWN_TASK = {
    "type": "object",
    "additionalProperties": {"type": "string", "minLength": 1},
    "minProperties": 1,
    "maxProperties": 1,
}
_TASK = {
    "description": "a name of GLUE, or a task of your own: {NAME: PLACE}",
    "anyOf": [{"enum": list(GLUE_TASKS)}, _OWN_TASK],
}


def _domain_form(word: str, about: str, value: Json, step: Json | None = None) -> Json:
    properties = {word: value | {"description": about}} | {"prior": _PRIOR} | ({"step": step} if step else {})
    return {"type": "object", "properties": properties, "required": [word], "additionalProperties": False}


_DOMAIN = {
    "description": "a domain: what the search may put here",
    "anyOf": [
        _domain_form(
            "choice", "one of these values", {"type": "array", "items": _SCALAR, "minItems": 1, "uniqueItems": True}
        ),
        _domain_form("float", "a number in [low, high]", _BOUNDS, _STEP),
        _domain_form("log", "a number in [low, high], even in its logarithm", _BOUNDS),
        _domain_form("int", "a whole number in [low, high]", _BOUNDS, _STEP),
    ],
}


def study_schema() -> Json:
    """Returns the JSON Schema (draft 2020-12) of a study file."""
    definitions = _study_definitions()
    top = definitions.pop("Study")
    return {
        "$schema": _DIALECT,
        "title": "A study of pld_search",
        **titled(top),
        "allOf": [_has(key) for key in WrittenStudy.model_json_schema()["required"]],
        "$defs": titled(definitions | {"Domain": _DOMAIN}),
    }


def machine_schema() -> Json:
    """Returns the JSON Schema (draft 2020-12) of a machine file."""
    written = Machine.model_json_schema(by_alias=True)
    definitions = {**written.pop("$defs", {}), "Machine": written}
    relaxed = {name: _relaxed(schema) for name, schema in definitions.items()}
    add_dotted(relaxed)
    top = titled(relaxed.pop("Machine"))
    return {"$schema": _DIALECT, "title": "A machine file of pld_search", **top, "$defs": titled(relaxed)}


def _study_definitions() -> dict[str, Json]:
    """Returns every object of a study by name, with domains, dotted keys and names where a file may hold them."""
    top, template, schedules = (
        WrittenStudy.model_json_schema(by_alias=True),
        ExperimentTemplate.model_json_schema(by_alias=True),
        schedule_definitions(),
    )
    schedules["Schedule"]["properties"]["base"] = BASE
    template["properties"]["schedule"] |= {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Schedule"}]}
    closed: dict[str, Json] = {**top.pop("$defs"), **template.pop("$defs"), "Study": top}
    closed["EvaluationTemplate"]["properties"]["tasks"]["oneOf"][1]["items"] = _TASK
    same = {path[0] for path in SAME_FOR_ALL if len(path) == 1}
    changes = {name: value for name, value in template["properties"].items() if name not in same}
    system = {
        "type": "object",
        "description": "what one system changes of the experiment",
        "properties": changes | Reserved.model_json_schema()["properties"],
    }
    top["properties"]["experiment"] |= {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/Experiment"}]}
    top["properties"]["systems"] |= {"additionalProperties": {"$ref": "#/$defs/System"}}
    sized = [name for name in template["properties"] if (name,) not in KEPT]
    closed["Target"]["properties"]["set"] |= {"$ref": "#/$defs/TargetSet"}
    target = {
        "type": "object",
        "description": "what the target changes",
        "properties": {**{name: {} for name in sized}, "budget": {"$ref": "#/$defs/Budget"}},
    }
    changed = {
        "System": system | {"additionalProperties": False},
        "TargetSet": target | {"additionalProperties": False},
    }
    definitions = closed | schedules | {"Experiment": template} | changed
    without = {
        "Study",
        *changed,
        *_reached(definitions, top, {"Experiment", *changed}),
        *_fixed_blocks(definitions),
    } - {"Saving"}
    relaxed = {name: _relaxed(schema, _fixed_keys(name, without)) for name, schema in definitions.items()}
    for name in changes:
        relaxed["System"]["properties"][name] = {"$ref": f"#/$defs/Experiment/properties/{name}"}
    for name in sized:
        relaxed["TargetSet"]["properties"][name] = {"$ref": f"#/$defs/Experiment/properties/{name}"}
    add_dotted(relaxed)
    return relaxed


def _fixed_keys(name: str, without: set[str]) -> set[str] | None:
    """Returns the keys of a definition that hold no domain; None if no key does."""
    if name in without or name == "Saving":
        return None
    block = {"Experiment": (), "DataTemplate": ("data",), "ModelFrom": ("model",)}.get(name)
    return (
        set()
        if block is None
        else {path[-1] for path in SAME_FOR_ALL if path[:-1] == block and isinstance(path[-1], str)}
    )


def _fixed_blocks(definitions: dict[str, Json]) -> set[str]:
    """Returns the definitions inside the parts that every configuration shares."""
    found: set[str] = set()
    for name in ("Experiment", "DataTemplate"):
        for key in _fixed_keys(name, set()) or ():
            found |= _reached(definitions, definitions[name]["properties"][key], set())
    return found


def _reached(definitions: dict[str, Json], schema: Any, beyond: set[str]) -> set[str]:
    """Returns the names of the definitions that a schema leads to, but not through definitions in `beyond`."""
    found: set[str] = set()
    waiting = [name for name in referred(schema) if name not in beyond]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [inner for inner in referred(definitions[name]) if inner not in beyond]
    return found


def _relaxed(schema: Json, fixed: set[str] | None = None) -> Json:
    """Returns a definition as a part of a file may contain it: no key is required, since another place may hold it, and
    values may be domains.

    fixed: the keys that hold no domain; None means all keys.
    """
    result: Json = without_requirements(schema)
    for key, value in result.get("properties", {}).items():
        result["properties"][key] = value if fixed is None or key in fixed else _or_domain(value)
    return result


def _or_domain(schema: Json) -> Json:
    outer = {key: schema[key] for key in ("description", "default") if key in schema}
    value = {key: inner for key, inner in schema.items() if key not in outer}
    forms = [value, {"$ref": "#/$defs/Domain"}]
    if any(referred(value)):
        branches = {
            "type": "object",
            "description": "whole blocks by name",
            "propertyNames": _NAMES,
            "additionalProperties": value,
            "minProperties": 1,
        }
        forms.append(
            {
                "type": "object",
                "properties": {"choice": branches},
                "required": ["choice"],
                "additionalProperties": False,
            }
        )
    return outer | {"anyOf": forms}


def _has(key: str) -> Json:
    """Returns the schema of a mapping with this key, or with a dotted key that begins with it."""
    return {"not": {"propertyNames": {"not": {"pattern": rf"^{key}(\.|$)"}}}}
