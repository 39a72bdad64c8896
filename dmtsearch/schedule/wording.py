"""What pydantic finds, in our words: rule, value, nearest valid name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ..errors import nearest
from .blocks import (
    AdapterSpec,
    DegradeSpec,
    HardSpec,
    HintPhaseSpec,
    HintSpec,
    InputSpec,
    MeritSpec,
    ModelSpec,
    OptimizerSpec,
    ResourcesSpec,
    SizeSpec,
    SoftSpec,
    SwitchSpec,
)
from .forms import (
    MERIT_FIELDS,
    NOT_IN_DEFAULTS,
    NOT_IN_SELECT,
    OPTIMIZER_FIELDS,
    SELECT_ONLY,
    SOFT_FIELDS,
    STEP_FIELDS,
    SWITCH_FIELDS,
    model_fields,
    model_form,
    soft_form,
)
from .merge import merge_stage
from .node import Node
from .problems import NOT_GIVEN, Report, either
from .search import BoundSpec, PrunerSpec, SearchSpec
from .spec import DataFields, ScheduleFields, SourceSpec, StageSpec
from .values import Spec

_SPECS: dict[str, type[Spec]] = {
    "model": ModelSpec,
    "size": SizeSpec,
    "input": InputSpec,
    "optimizer": OptimizerSpec,
    "soft": SoftSpec,
    "hard": HardSpec,
    "merit": MeritSpec,
    "hints": HintSpec,
    "adapter": AdapterSpec,
    "hint_phase": HintPhaseSpec,
    "switch": SwitchSpec,
    "resources": ResourcesSpec,
    "degrade": DegradeSpec,
    "source": SourceSpec,
    "data": DataFields,
    "search": SearchSpec,
    "pruner": PrunerSpec,
    "params": BoundSpec,
    "macs": BoundSpec,
    "cold_cost": BoundSpec,
}
# Names from other tools, which no measure of likeness would find.
_ELSEWHERE = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "alpha": "weight",
    "lambda": "weight",
    "tau": "temperature",
    "T": "temperature",
    "delta": "increment",
    "teacher": "source",
    "teachers": "source",
    "sources": "source",
    "depth": "blocks",
    "label_smoothing": "smoothing",
    "parameters": "params",
    "threshold": "at_least",
}
MAX_NAMES = 12
_QUOTED = re.compile(r"'([^']*)'")
_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def add_errors(
    report: Report,
    error: ValidationError,
    document: Node,
    *,
    under: tuple[str, ...] = (),
    absent: Sequence[tuple[str, ...]] = (),
) -> list[tuple[str, ...]]:
    """Add each of pydantic's errors to `report`; return where they are, as document steps.

    Args:
        report: Takes the problems.
        error: What pydantic found in the document, or in the block `under` which it looked.
        document: The document.
        under: Steps to that block.
        absent: Fields that were left out of the document on purpose; they are not missed.
    """
    places = []
    for found in error.errors(include_url=False):
        loc = [*under, *(step for step in found["loc"] if step != "[key]")]
        node = _reach(document, loc)
        if found["loc"][-1:] == ("[key]",):
            node = Node(str(loc[-1]), node.path, node.line)
        places.append(tuple(str(step) for step in loc))
        kind = found["type"]
        if kind == "missing" and places[-1] in absent:
            continue
        if kind == "extra_forbidden":
            _unknown(report, document, loc, node)
        elif kind == "missing" and isinstance(loc[-1], int):
            report.add(node, f"must hold at least {loc[-1] + 1} values", node)
        elif kind == "missing":
            report.add(node, "is missing" + _EXAMPLES.get(str(loc[-1]), ""), field=loc[-1])
        else:
            rule, names = _rule(kind, found, node, loc)
            value = NOT_GIVEN if isinstance(node.value, dict | list) else node.value
            report.add(node, rule, value, names)
    return places


_EXAMPLES = {
    "dmtsearch": "; write `dmtsearch: 1`, the format version, first",
    "data": "; write `data: {name: digits}`",
    "stages": "; write at least one stage under it",
}


def _reach(document: Node, loc: Sequence[str | int]) -> Node:
    """The node of an error. Steps of a list that was written as its only item are passed over."""
    node = document
    for used, step in enumerate(loc):
        below: Node | None = None
        if isinstance(step, int):
            below = node.items[step] if step < len(node.items) else None
        else:
            below = node.fields.get(step)
        if below is None and used == len(loc) - 1:
            return node
        node = below if below is not None else node
    return node


def _unknown(report: Report, document: Node, loc: Sequence[str | int], node: Node) -> None:
    """An unknown field: the nearest among the fields that are valid there."""
    name = str(loc[-1])
    valid = valid_fields(document, loc[:-1])
    suggestion = _suggest(name, valid, loc)
    if suggestion:
        report.add(node, f"no field {name!r} here; did you mean {suggestion!r}?")
    else:
        report.add(node, f"no field {name!r} here", names=valid)


def _suggest(name: str, valid: Sequence[str], loc: Sequence[str | int]) -> str | None:
    elsewhere = _ELSEWHERE.get(name)
    if elsewhere in valid:
        return elsewhere
    in_stage = (len(loc) == 3 and loc[0] == "stages") or (len(loc) == 2 and loc[0] == "defaults")
    if in_stage:
        for block in ("soft", "optimizer", "model", "merit", "switch", "hard", "hint_phase"):
            if (elsewhere or name) in _SPECS[block].model_fields:
                return f"{block}.{elsewhere or name}"
    if len(loc) == 1 and name in StageSpec.model_fields:
        return f"defaults.{name}"
    return None


def valid_fields(document: Node, loc: Sequence[str | int]) -> list[str]:
    """The fields that are valid at `loc`, as far as the forms written there leave them open."""
    steps = [step for step in loc if isinstance(step, str)]
    if not steps:
        return [*ScheduleFields.model_fields, "search"]
    inner, stage = steps, None
    if steps[0] == "stages":
        inner = steps[2:]
        own = document.get(*steps[:2])
        stage = merge_stage("", own, document.get("defaults")).node if own is not None else None
    elif steps[0] == "defaults":
        inner, stage = steps[1:], document.get("defaults")
    if not inner:
        return _stage_fields(stage, steps[0] == "defaults")
    spec = _SPECS.get(inner[-1])
    if spec is None:
        return []
    block = stage.get(*inner) if stage is not None else None
    return _narrow(inner[-1], list(spec.model_fields), block.fields if block else {})


def _stage_fields(stage: Node | None, in_defaults: bool) -> list[str]:
    fields = list(StageSpec.model_fields)
    if in_defaults:
        return [field for field in fields if field not in NOT_IN_DEFAULTS]
    is_select = stage is not None and "select" in stage.fields
    out = NOT_IN_SELECT if is_select else SELECT_ONLY[1:]
    return [field for field in fields if field not in out]


def _narrow(block: str, fields: list[str], given: Mapping[str, Node]) -> list[str]:
    """The fields of a block that belong to its form."""

    def chosen(key: str, default: str) -> str:
        value = given[key].value if key in given else default
        return value if isinstance(value, str) else default

    valid: Sequence[str] | None = None
    if block == "model":
        valid = model_fields(model_form(given))
    elif block == "optimizer":
        valid = OPTIMIZER_FIELDS.get(chosen("name", "adamw"))
        if valid is not None and chosen("schedule", "one_cycle") == "step":
            valid = (*valid, *STEP_FIELDS)
    elif block == "soft":
        valid = SOFT_FIELDS.get(soft_form(chosen("loss", "kl")))
    elif block == "merit":
        valid = MERIT_FIELDS.get(chosen("rule", "delta"))
    elif block == "switch" and "when" in given:
        valid = SWITCH_FIELDS.get(chosen("when", "epochs"))
    return fields if valid is None else [field for field in valid if field in fields]


def _rule(
    kind: str, found: Mapping[str, Any], node: Node, loc: Sequence[str | int]
) -> tuple[str, list[str] | None]:
    """The rule that a value breaks, and the names to choose from where it is one of a list."""
    context: Mapping[str, Any] = found.get("ctx") or {}
    value = node.value
    if kind == "rule":
        names = list(context.get("names", ()))
        close = isinstance(value, str) and "did you mean" in nearest(value, names)
        return str(context["rule"]), names if close else None
    if kind == "literal_error":
        names = _QUOTED.findall(str(context["expected"]))
        close = isinstance(value, str) and "did you mean" in nearest(value, names)
        return f"must be {either(names)}", names if close else None
    if kind in _BOUNDS:
        field, sign = _BOUNDS[kind]
        return f"must be {sign} {context[field]:g}", None
    if kind in _TYPES:
        return _TYPES[kind] + _advice(kind, value), None
    if kind == "model_type":
        spec = _SPECS.get(next((s for s in reversed(loc) if isinstance(s, str)), ""), StageSpec)
        off = " or none" if loc[-1] in ("soft", "merit", "hint_phase") else ""
        names = list(spec.model_fields)
        shown = ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
        return f"must be fields ({shown}){off}", None
    if kind == "too_long":
        number = len(node.fields) or len(node.items)
        return f"must hold at most {context['max_length']} values, got {number}", None
    if kind == "too_short":
        return f"must hold at least {context['min_length']}", None
    return f"is not valid: {found['msg']}", None


_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}
_TYPES = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "dict_type": "must be fields (name: value)",
}


def _advice(kind: str, value: Any) -> str:
    """What to write instead, where that is plain."""
    if kind in ("int_type", "float_type") and isinstance(value, str):
        bare = value.replace("_", "").replace(",", "").strip()
        if re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?", bare):
            return f" ({bare}, without quotes or separators)"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f" ({int(value)})"
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _TRUTHS:
        return f" (YAML 1.2 reads {value} as text: write {_TRUTHS[value.lower()]})"
    if kind == "string_type" and isinstance(value, int | float):
        return " (in quotes)"
    return ""
