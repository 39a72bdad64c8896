"""The JSON Schema of schedules and search spaces, for editors."""

from collections.abc import Sequence
from typing import Any

from dmtsearch.names import PRUNERS
from dmtsearch.schedule import SearchSpec, SelectorStage, Stage
from dmtsearch.schedule.blocks import FORMS
from dmtsearch.schedule.holes import HOLE_KINDS
from dmtsearch.schedule.model import FAMILIES as _FAMILIES
from dmtsearch.schedule.model import OTHER_FORMS
from dmtsearch.schedule.stage import FORM_CLASSES, NOT_IN_SELECT, ScheduleFields
from dmtsearch.schedule.values import description

from .recipes import CONTROLS


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
_NO_HOLES = ("ScheduleFields", "DataSpec", "SearchSpec", "BoundSpec", "PrunerSpec")
_NONE = {"const": "none"}
_REF = "#/$defs/"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a schedule or search space.

    A hole may take the place of any value of a stage. The schema knows fields, types, ranges and
    which field goes with which form (of a model, an optimizer, a loss, a rule, a stage); what
    else goes with what, and what a hole may hold, is checked when a file is loaded.
    """
    schema = ScheduleFields.model_json_schema(mode="validation")
    search = SearchSpec.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions |= search.pop("$defs")
    _describe(definitions)
    _write_short_forms(definitions, search)
    for name, definition in definitions.items():
        if name not in _NO_HOLES:
            _open_for_holes(definition)
    _choose_forms(definitions, schema)
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


def _describe(definitions: dict[str, Any]) -> None:
    """Give a field of a form the description of the class that declares it."""
    kinds = [Stage, SelectorStage, *(kind for forms in FORM_CLASSES.values() for kind in forms)]
    for kind in kinds:
        definition = definitions[kind.__name__]
        for name, one in kind.__pydantic_fields__.items():
            field = definition["properties"].get(one.alias or name)
            if field is not None and "description" not in field:
                field["description"] = description(kind, name)
        # What is not given may be inherited.
        definition.pop("required", None)
    for name in ("Defaults", *(name for name in definitions if name.startswith("Any"))):
        definitions[name]["description"] = "The fields of every form, where none is named."
    for name, kinds_of in _WITH_FORMS.items():
        for field, known in definitions[name]["properties"].items():
            if not set(known) & {"type", "anyOf", "enum", "$ref"}:  # unlike in its forms
                known["anyOf"] = _in_forms(field, [definitions[k.__name__] for k in kinds_of])
    selector = definitions["SelectorStage"]["properties"]
    for name in NOT_IN_SELECT:
        del selector[name]


def _in_forms(field: str, forms: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for form in forms:
        known = form["properties"].get(field, {})
        options = known.get("anyOf") or [
            {key: v for key, v in known.items() if key not in ("description", "title", "default")}
        ]
        found += [option for option in options if option and option not in found]
    return found


_WITH_FORMS = {f"Any{name.capitalize()}": kinds for name, kinds in FORM_CLASSES.items()}


def _choose_forms(definitions: dict[str, Any], schema: dict[str, Any]) -> None:
    """Where a block has several forms, let its key decide which holds, in place of any that fits.

    Where the key is not given, it may be inherited or drawn: then each form's fields are fine.
    """
    stage = {"Stage": definitions["Stage"], "SelectorStage": definitions["SelectorStage"]}
    for definition in stage.values():
        properties = definition["properties"]
        for name, forms in FORMS.items():
            if name not in properties:
                continue
            named: list[tuple[dict[str, Any], str]] = [
                (_says(forms.key, value), kind.__name__) for value, kind in forms.classes.items()
            ]
            _replace_union(properties[name], _chain(named, f"Any{name.capitalize()}"))
        models = [(_says("family", name), kind.__name__) for name, kind in _FAMILIES.items()]
        models += [({"required": [name]}, kind.__name__) for name, kind in OTHER_FORMS.items()]
        _replace_union(properties["model"], _chain(models, "AnyModel"))
    selector = [({"required": ["select"]}, "SelectorStage")]
    schema["properties"]["stages"]["additionalProperties"] = _chain(selector, "Stage")


def _says(key: str, value: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"const": value}}}


def _chain(choices: Sequence[tuple[dict[str, Any], str]], otherwise: str) -> dict[str, Any]:
    """The definition of the first choice that holds; of `otherwise` where the value is fields."""
    found: dict[str, Any] = {"$ref": f"{_REF}{otherwise}"}
    for test, name in reversed(choices):
        found = {"if": test, "then": {"$ref": f"{_REF}{name}"}, "else": found}
    return found


def _replace_union(field: dict[str, Any], chain: dict[str, Any]) -> None:
    """Put the chain in the place of the union of a field that may also be `none` or a hole.

    A test of fields also holds for what is no object at all, so that holes and words are chosen
    by what they are.
    """
    words = [option for option in _options(field) if "const" in option]
    for key in ("anyOf", "oneOf", "$ref"):
        field.pop(key, None)
    otherwise = chain
    for word in words:
        otherwise = {"if": word, "then": True, "else": otherwise}
    kinds = [{"required": [kind]} for kind in HOLE_KINDS]
    is_hole: dict[str, Any] = {"type": "object", "anyOf": kinds}
    field |= {"if": is_hole, "then": _hole(), "else": {"if": _NONE_TYPE, "then": False,
              "else": otherwise}}  # fmt: skip


def _options(field: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a field, those within alternatives too."""
    found = []
    for option in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        found += [option, *_options(option)]
    return found


def _write_short_forms(definitions: dict[str, Any], search: dict[str, Any]) -> None:
    """Say what validators accept before they look at the type: words and short forms."""
    source = {"anyOf": [{"type": "string"}, {"$ref": f"{_REF}SourceRef"}]}
    for block in ("Stage", "Defaults"):
        stage = definitions[block]["properties"]
        for name in ("soft", "merit", "hint_phase", "hints"):
            stage[name].setdefault("anyOf", [{k: stage[name].pop(k) for k in _TYPES_OF if (
                k in stage[name])}])  # fmt: skip
            stage[name]["anyOf"].append(_NONE)
        stage["source"] = {
            "description": stage["source"]["description"],
            "anyOf": [*source["anyOf"], {"type": "array", "items": source}],
        }
    for definition in definitions.values():
        size = definition.get("properties", {}).get("size", {})
        if {"$ref": f"{_REF}Size"} in size.get("anyOf", ()):
            size["anyOf"].append({"type": "number", "minimum": 0, "maximum": 1})
    search["properties"]["pruner"]["anyOf"].append({"enum": ["none", *PRUNERS]})
    controls = search["properties"]["controls"]
    for key in ("items", "type"):
        del controls[key]
    several = {"type": "array", "items": {"enum": list(CONTROLS)}}
    controls["anyOf"] = [{"enum": ["default", "none"]}, several]


_TYPES_OF = ("type", "items", "$ref")
_NONE_TYPE = {"type": "null"}


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
