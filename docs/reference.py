"""The schedule reference: tables of fields, made from the classes that declare them.

As a Sphinx extension it gives the directive `{fields} BLOCK`: a table with each field's type,
bounds, default and doc line. Nothing of it is typed by hand, so it cannot differ from the code.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from dmtsearch.schedule import json_schema
from dmtsearch.schedule.blocks import ModelSpec, OptimizerSpec, SwitchSpec
from dmtsearch.schedule.expanded import (
    Adapter,
    DataSpec,
    Hard,
    Hint,
    HintPhase,
    Optimizer,
    Resources,
    Select,
    Soft,
    Stage,
)
from dmtsearch.schedule.forms import MODEL_FORMS
from dmtsearch.schedule.normal import (
    DEFAULT_BLOCKS,
    DEFAULT_INCREMENT,
    normal_model,
    normal_optimizer,
    normal_switch,
)

BLOCKS = {
    "file": "",
    "search": "SearchSpec",
    "bound": "BoundSpec",
    "pruner": "PrunerSpec",
    "data": "DataFields",
    "stage": "StageSpec",
    "source": "SourceSpec",
    "model": "ModelSpec",
    "size": "SizeSpec",
    "input": "InputSpec",
    "optimizer": "OptimizerSpec",
    "soft": "SoftSpec",
    "hard": "HardSpec",
    "merit": "MeritSpec",
    "hint": "HintSpec",
    "adapter": "AdapterSpec",
    "hint_phase": "HintPhaseSpec",
    "switch": "SwitchSpec",
    "resources": "ResourcesSpec",
    "degrade": "DegradeSpec",
    "hole": "Hole",
}
"""Names of blocks in the documentation, and in the JSON Schema."""
_NAMES = {definition: name for name, definition in BLOCKS.items()}
_BLOCK = "its own"
"""Default of a block: the defaults of its fields."""


def properties(block: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the JSON Schema of a block's fields, by name."""
    fields: Mapping[str, Mapping[str, Any]] = _definition(block)["properties"]
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


# -- types and bounds ---------------------------------------------------------------------------


def words(schema: Mapping[str, Any]) -> str:
    """Return what a field may hold, in words; holes are left out, as they may be anywhere."""
    if "anyOf" in schema:
        return _either([words(one) for one in schema["anyOf"] if not _is_hole(one)])
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
    if block == "optimizer":
        return _by_form(
            {name: asdict(normal_optimizer(OptimizerSpec(name=name))) for name in _OPTIMIZERS}
        ) | {name: getattr(_STEP, name) for name in ("milestones", "gamma")}
    if block == "model":
        return _by_form({form: normal_model(spec, None) for form, spec in _MODELS.items()})
    if block == "switch":
        return asdict(normal_switch(SwitchSpec(when="plateau"), 20)) | {"when": "epochs"}
    if block == "stage":
        return asdict(Select(())) | asdict(Stage("", "", {}))
    if block in ("file", "search", "pruner"):
        return {
            name: one["default"] for name, one in properties(block).items() if "default" in one
        }
    kind = _VALUES.get(block)
    return {} if kind is None else asdict(kind)


_OPTIMIZERS = ("adamw", "adam", "sgd")
_STEP: Optimizer = normal_optimizer(OptimizerSpec(schedule="step"))
_MODELS = {
    "plain": ModelSpec(family="plain", widths=(1,)),
    "resnet": ModelSpec(family="resnet", blocks=(1,)),
    "mlp": ModelSpec(family="mlp", hidden=()),
    "torchvision": ModelSpec(torchvision="x"),
    "timm": ModelSpec(timm="x"),
    "factory": ModelSpec(factory="x:y"),
}
_BOTTLENECK = normal_model(ModelSpec(family="resnet", blocks=(1,), bottleneck=True), None)
_VALUES: Mapping[str, Any] = {
    "data": DataSpec(),
    "soft": Soft(),
    "hard": Hard(),
    "hint": Hint("", "", ""),
    "adapter": Adapter(),
    "hint_phase": HintPhase(1),
    "resources": Resources(),
}
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
        "degrade": ", ".join(f"{d.kind} [{d.low:g}, {d.high:g}]" for d in Select(()).degrade),
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
    "merit": {"increment": f"`{DEFAULT_INCREMENT}`", "placebo": "`none`"},
    "hint": {"adapter": _BLOCK},
    "switch": {"at_least": "required by `accuracy`"},
    "search": {"constraints": "`{}`", "pruner": "`none`"},
}


def _required(block: str) -> Iterable[str]:
    needed = {"stage": ["model"], "merit": ["rule"]}.get(block, [])
    return [*_definition(block).get("required", []), *needed]


def _by_form(forms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return each field's default, with the forms that have it where they differ."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for fields in forms.values() for name in fields):
        values: dict[str, list[str]] = {}
        for form, fields in forms.items():
            if fields.get(name) is not None:
                values.setdefault(plain(fields[name]), []).append(form)
        if len(values) == 1:
            found[name] = _Words(next(iter(values)))
        elif values:
            parts = [f"{value} ({', '.join(owners)})" for value, owners in values.items()]
            found[name] = _Words("; ".join(parts))
    return found | ({"name": "adamw"} if "adamw" in forms else {})


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
    """Add the directive `{fields} BLOCK` to Sphinx."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class Fields(SphinxDirective):
        required_arguments = 1

        def run(self) -> list[nodes.Node]:
            return self.parse_text_to_nodes(table(self.arguments[0]))

    app.add_directive("fields", Fields)
    return {"parallel_read_safe": True}
