"""The JSON Schema of schedules and search spaces, for editors."""

from typing import Any

from .search import SearchSpec
from .spec import ScheduleFields


def _range(what: str, kind: str, most: int) -> dict[str, Any]:
    """The schema of a hole's bounds, and of its step where it may have one."""
    form = "[low, high] or [low, high, step]" if most == 3 else "[low, high]"
    return {
        "description": f"{form}: {what}.",
        "type": "array",
        "items": {"type": kind},
        "minItems": 2,
        "maxItems": most,
    }


_HOLE = {
    "description": "A place in which a search may put different values.",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 2,
    "properties": {
        "choice": {
            "description": "One of a list of values, or of blocks by label.",
            "anyOf": [
                {"type": "array", "minItems": 1},
                {"type": "object", "minProperties": 1},
            ],
        },
        "int": _range("whole numbers, both bounds included", "integer", 3),
        "float": _range("numbers, both bounds included", "number", 3),
        "log": _range("numbers above 0, drawn on a log scale", "number", 2),
        "as": {"description": "All holes of this name get one value.", "type": "string"},
    },
    "anyOf": [{"required": [kind]} for kind in ("choice", "int", "float", "log")],
    "additionalProperties": False,
}
_NO_HOLES = ("ScheduleFields", "DataFields", "SearchSpec", "BoundSpec", "PrunerSpec")
_NONE = {"const": "none"}
_REF = "#/$defs/"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a schedule or search space.

    A hole may take the place of any value of a stage. The schema knows fields, types and ranges;
    what goes with what (and what a hole may hold) is checked when a file is loaded.
    """
    schema = ScheduleFields.model_json_schema(mode="validation")
    search = SearchSpec.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions |= search.pop("$defs")
    _write_short_forms(definitions, search)
    for name, definition in definitions.items():
        if name not in _NO_HOLES:
            _open_for_holes(definition)
    definitions |= {"SearchSpec": search, "Hole": _HOLE}
    schema["required"] = [name for name in schema["required"] if name != "name"]
    schema["properties"]["search"] = {
        "description": "Makes the file a search space: its question, and how it is searched.",
        "$ref": f"{_REF}SearchSpec",
    }
    stages = schema["properties"]["stages"]
    stages.pop("propertyNames", None)
    top = {key: value for key, value in schema.items() if key not in ("title", "description")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dmtsearch schedule or search space",
        "description": "A schedule; with holes and a `search` block, a search space.",
        **_without_nulls(top),
        "$defs": _without_nulls(definitions),
    }


def _write_short_forms(definitions: dict[str, Any], search: dict[str, Any]) -> None:
    """Say what validators accept before they look at the type: words and short forms."""
    stage = definitions["StageSpec"]["properties"]
    for name in ("soft", "merit", "hint_phase", "hints"):
        stage[name]["anyOf"].append(_NONE)
    source = {"anyOf": [{"type": "string"}, {"$ref": f"{_REF}SourceSpec"}]}
    stage["source"] = {
        "description": stage["source"]["description"],
        "anyOf": [*source["anyOf"], {"type": "array", "items": source}],
    }
    definitions["ModelSpec"]["properties"]["size"]["anyOf"].append(
        {"type": "number", "minimum": 0, "maximum": 1}
    )
    words = ("none", "halving", "hyperband", "median")
    search["properties"]["pruner"]["anyOf"].append({"enum": list(words)})
    controls = search["properties"]["controls"]
    names = controls.pop("items")
    controls.pop("type")
    controls["anyOf"] = [{"enum": ["default", "none"]}, {"type": "array", "items": names}]


def _open_for_holes(definition: dict[str, Any]) -> None:
    """Let a hole take the place of each field and each item of a list."""
    for name, field in definition.get("properties", {}).items():
        if name == "seed":
            continue  # a seed is a replicate, never a dimension of a search
        described = {key: field.pop(key) for key in ("description", "title") if key in field}
        field.pop("default", None)
        definition["properties"][name] = {**described, "anyOf": [_opened(field), _hole()]}


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    schema = dict(schema)
    if "anyOf" in schema:
        schema["anyOf"] = [_opened(option) for option in schema["anyOf"]]
    if "items" in schema:
        schema["items"] = {"anyOf": [_opened(schema["items"]), _hole()]}
    if "prefixItems" in schema:
        schema["prefixItems"] = [{"anyOf": [_opened(s), _hole()]} for s in schema["prefixItems"]]
    return schema


def _hole() -> dict[str, Any]:
    return {"$ref": f"{_REF}Hole"}


def _without_nulls(schema: Any) -> Any:
    """Drop `null` alternatives: an empty value is refused; "not given" is a missing field."""
    if isinstance(schema, list):
        return [_without_nulls(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: _without_nulls(value)
        for key, value in schema.items()
        if not (key == "default" and value is None)
    }
    options = plain.get("anyOf")
    if isinstance(options, list) and len(options) == 1 and isinstance(options[0], dict):
        del plain["anyOf"]
        plain = {**plain, **options[0]}
    return plain
