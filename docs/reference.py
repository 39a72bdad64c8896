"""The schedule reference: tables of fields, made from the classes that declare them.

As a Sphinx extension it gives the directive `{fields} BLOCK`: a table with each field's type,
bounds, default and doc line; `{objectives}` and `{arms}` list rows of the code's tables. Nothing
of it is typed by hand, so it cannot differ from the code.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from dmtsearch.engine.objectives import OBJECTIVES
from dmtsearch.schedule import (
    Adapter,
    DataSpec,
    Hard,
    Hint,
    HintPhase,
    Resources,
    Select,
    SelectorStage,
    SourceRef,
    Stage,
    read_model,
)
from dmtsearch.schedule.blocks import FORMS, STEP_FIELDS
from dmtsearch.schedule.model import DEFAULT_BLOCKS, FAMILIES, MODEL_FORMS, OTHER_FORMS
from dmtsearch.schedule.stage import STAGE_ORDER
from dmtsearch.schedule.values import plain as plain_value
from dmtsearch.space import RECIPES, json_schema

BLOCKS = {
    "file": "",
    "search": "SearchSpec",
    "bound": "BoundSpec",
    "pruner": "PrunerSpec",
    "data": "DataSpec",
    "stage": "Stage",
    "source": "SourceRef",
    "model": "AnyModel",
    "size": "Size",
    "input": "Input",
    "optimizer": "AnyOptimizer",
    "soft": "AnySoft",
    "hard": "Hard",
    "merit": "AnyMerit",
    "hint": "Hint",
    "adapter": "Adapter",
    "hint_phase": "HintPhase",
    "switch": "AnySwitch",
    "resources": "Resources",
    "degrade": "Degrade",
    "hole": "Hole",
}
"""Names of blocks in the documentation, and in the JSON Schema."""
_FORMS: Mapping[str, Mapping[str, Any]] = {
    "model": {**FAMILIES, **OTHER_FORMS},
    **{name: forms.classes for name, forms in FORMS.items()},
}
"""By block: its forms, each a class."""
ALIKE = {
    "SelectorStage": "stage",
    "Defaults": "stage",
    **{kind.__name__: block for block, forms in _FORMS.items() for kind in forms.values()},
}
"""Further definitions of the JSON Schema, and the block whose table has their fields."""
_NAMES = {**ALIKE, **{definition: name for name, definition in BLOCKS.items()}}
_BLOCK = "its own"
"""Default of a block: the defaults of its fields."""


def properties(block: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON Schema of a block's fields, by name."""
    fields: Mapping[str, Mapping[str, Any]] = _definition(block)["properties"]
    if block == "stage":
        both = {**_schema()["$defs"]["SelectorStage"]["properties"], **fields}
        return {name: both[name] for name in STAGE_ORDER}
    return fields


def _definition(block: str) -> Mapping[str, Any]:
    schema = _schema()
    found: Mapping[str, Any] = schema["$defs"][BLOCKS[block]] if BLOCKS[block] else schema
    return found


@cache
def _schema() -> Mapping[str, Any]:
    return json_schema()


def table(block: str) -> str:
    """Return a block's fields as a Markdown table: name, type, default, meaning."""
    known = defaults(block)
    lines = ["| field | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, schema in properties(block).items():
        meaning = " ".join(schema["description"].split())
        cells = (f"`{name}`", words(schema), known.get(name, "-"), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def objectives() -> str:
    """Return the objectives of a search as a Markdown table: name, and what is measured."""
    head = "| objective | what is measured, once, on the kept weights of the delivered stage |"
    rows = [f"| `{name}` | {one.meaning} |" for name, one in OBJECTIVES.items()]
    return "\n".join([head, "| --- | --- |", *rows])


def arms() -> str:
    """Return the control arms as a Markdown table: name, and what runs."""
    rows = [f"| `{name}` | {arm.runs} |" for name, arm in RECIPES.items()]
    return "\n".join(["| arm | what runs |", "| --- | --- |", *rows])


# -- types and bounds ---------------------------------------------------------------------------


def words(schema: Mapping[str, Any]) -> str:
    """Return what a field may hold, in words; holes are left out, as they may be anywhere."""
    if "anyOf" in schema:
        options = [words(one) for one in schema["anyOf"] if not _is_hole(one)]
        return _either(list(dict.fromkeys(options)))
    if "if" in schema:
        return _either(list(dict.fromkeys(_chosen(schema))))
    if "$ref" in schema:
        name = _NAMES[schema["$ref"].rpartition("/")[2]]
        return f"[{name}](#fields-{name.replace('_', '-')})"
    if "const" in schema or "enum" in schema:
        return _either([f"`{value}`" for value in schema.get("enum", [schema.get("const")])])
    if "prefixItems" in schema:
        return "[" + ", ".join(words(item) for item in schema["prefixItems"]) + "]"
    kind = schema["type"]
    if kind == "array":
        return f"list of {words(schema['items'])}" if "items" in schema else "list"
    if kind == "object":
        return _mapping(schema)
    if kind in ("number", "integer"):
        return ("number" if kind == "number" else "whole number") + _bounds(schema)
    if kind == "boolean":
        return "`true` or `false`"
    return "text" if "pattern" not in schema else "`package.module:function`"


def _chosen(schema: Mapping[str, Any]) -> Iterable[str]:
    """What a chain of `if`s may come to."""
    then, otherwise = schema["then"], schema["else"]
    if then is True:  # a word
        yield words(schema["if"])
    elif then is not False and not _is_hole(then):
        yield words(then)
    if "if" in otherwise:
        yield from _chosen(otherwise)
    else:
        yield words(otherwise)


def _either(options: Sequence[str]) -> str:
    """Return `a, b or c`."""
    *others, last = options
    return f"{', '.join(others)} or {last}" if others else last


def _is_hole(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("$ref", "")).endswith("/Hole")


def _mapping(schema: Mapping[str, Any]) -> str:
    values = schema.get("additionalProperties")
    of = words(values) if isinstance(values, Mapping) else "any value"
    names = schema.get("propertyNames", {}).get("enum")
    keys = _either([f"`{name}`" for name in names]) if names else "name"
    return f"mapping of {keys} to {of}"


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is None and above is None:
        return ""
    if high is None and below is None:
        return f" >= {low}" if above is None else f" > {above}"
    if low is not None and low == high:
        return f" = {low}"
    opens = f"[{low}" if above is None else f"({above}"
    return f" in {opens}, {high}]" if below is None else f" in {opens}, {below})"


# -- defaults -----------------------------------------------------------------------------------


def defaults(block: str) -> dict[str, str]:
    """Return a block's defaults in words, from where the code declares them."""
    found = {name: plain(value) for name, value in _declared(block).items() if value is not None}
    return {**found, **_SAID.get(block, {}), **dict.fromkeys(_required(block), "**required**")}


def _declared(block: str) -> Mapping[str, Any]:
    if block in ("file", "search", "pruner"):
        return {
            name: one["default"] for name, one in properties(block).items() if "default" in one
        }
    if block == "optimizer":
        return {**_by_form(_FORMS[block]), **STEP_FIELDS}
    if block in _FORMS:
        return _by_form(_FORMS[block])
    kinds = (Stage, SelectorStage) if block == "stage" else (_KINDS.get(block),)
    return {name: value for kind in kinds for name, value in _defaults_of(kind).items()}


def _defaults_of(kind: Any) -> dict[str, Any]:
    """The defaults that a class declares, by the names that a file has."""
    found = {}
    for one in fields(kind) if kind is not None else ():
        name = kind.__pydantic_fields__[one.name].alias or one.name
        if one.default is not MISSING:
            found[name] = plain_value(one.default)
        elif one.default_factory is not MISSING:
            found[name] = one.default_factory()
    return found


_KINDS: Mapping[str, Any] = {
    "data": DataSpec,
    "hard": Hard,
    "hint": Hint,
    "adapter": Adapter,
    "hint_phase": HintPhase,
    "resources": Resources,
    "source": SourceRef,
}
_BOTTLENECK = read_model({"family": "resnet", "blocks": [1], "bottleneck": True})
_OWN = dict.fromkeys(("optimizer", "hard", "switch", "resources"), _BLOCK)
# What no class declares as a value: blocks, and what depends on other fields.
_SAID: Mapping[str, Mapping[str, str]] = {
    "file": {"name": "the file's stem", "deliver": "the one stage that no other reads"},
    "stage": {
        **_OWN,
        "source": "`none`",
        "init": "`none`",
        "modality": "`none`",
        "merit": "`none`",
        "hint_phase": "`none`",
        "soft": f"{_BLOCK}, where there is a source",
        "augment": "`data.augment`",
        "seed": "the schedule's",
        "amp": "by device",
        "repeat": "one stage",
        "degrade": ", ".join(f"{d.kind} [{d.low:g}, {d.high:g}]" for d in Select(("a",)).degrade),
    },
    "data": {
        "train": "the rest",
        "val": "0.15",
        "test": "0.15",
        "selector": "0.2",
        "mean": "train's",
        "std": "train's",
        "size": "as stored",
    },
    "model": {
        **dict.fromkeys((*MODEL_FORMS, "widths", "hidden"), "-"),
        "base": f"`16`; bottleneck `{_BOTTLENECK['base']}` (resnet)",
        "blocks": f"`{DEFAULT_BLOCKS}` (plain)",
        "input": "the data's",
    },
    "input": dict.fromkeys(("size", "mean", "std"), "the data's"),
    "source": {"epoch": "the last"},
    "hard": {"weight": "1 - `soft.weight`"},
    "merit": {},
    "hint": {"adapter": _BLOCK},
    "switch": {"at_least": "required by `accuracy`"},
    "search": {"constraints": "`{}`", "pruner": "`none`"},
}


def _required(block: str) -> Iterable[str]:
    needed = {"stage": ["model"], "merit": ["rule"]}.get(block, [])
    return [*_definition(block).get("required", []), *needed]


def _by_form(forms: Mapping[str, Any]) -> dict[str, Any]:
    """Return each field's default, with the forms that have it where they differ."""
    values: dict[str, dict[str, list[str]]] = {}
    for form, kind in forms.items():
        for name, value in _defaults_of(kind).items():
            if value is not None:
                values.setdefault(name, {}).setdefault(plain(value), []).append(form)
    found: dict[str, Any] = {}
    for name, known in values.items():
        parts = [f"{value} ({', '.join(owners)})" for value, owners in known.items()]
        found[name] = _Words(next(iter(known)) if len(known) == 1 else "; ".join(parts))
    usual = {"optimizer": ("name", "adamw"), "switch": ("when", "epochs"), "soft": ("loss", "kl")}
    for block, (key, value) in usual.items():
        if forms is _FORMS[block]:
            found[key] = value
    return found


class _Words(str):
    """A default that is in words already."""


def plain(value: Any) -> str:
    """Return a value as a file has it, in backticks."""
    if isinstance(value, _Words):
        return value
    return f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(one)}" for name, one in value.items()) + "}"
    return str(value)


# -- Sphinx -------------------------------------------------------------------------------------


def setup(app: Any) -> dict[str, bool]:
    """Add the directives `{fields} BLOCK`, `{objectives}` and `{arms}` to Sphinx."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Fields(SphinxDirective):
        required_arguments = 1

        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(table(self.arguments[0]))

    class Arms(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(arms())

    class Objectives(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(objectives())

    app.add_directive("fields", Fields)
    app.add_directive("arms", Arms)
    app.add_directive("objectives", Objectives)
    return {"parallel_read_safe": True}
