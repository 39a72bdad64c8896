"""What pydantic finds, in our words: rule, value, nearest valid name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ..errors import nearest
from .blocks import FORM, FORMS, STEP_FIELDS
from .model import FAMILIES, MODEL_FORMS, model_class, model_form, owners
from .places import Path, get
from .problems import NOT_GIVEN, ProblemReport, either
from .search import BoundSpec, PrunerSpec, SearchSpec
from .stage import (
    BLOCKS,
    NOT_IN_DEFAULTS,
    NOT_IN_SELECT,
    SELECT_ONLY,
    STAGE_ORDER,
    ScheduleFields,
)
from .values import field_names

_BLOCKS: Mapping[str, Sequence[Any]] = {
    **BLOCKS,
    "search": (SearchSpec,),
    "pruner": (PrunerSpec,),
    "constraints": (BoundSpec,),
}
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
_EXAMPLES = {
    "dmtsearch": "; write `dmtsearch: 1`, the format version, first",
    "data": "; write `data: {name: digits}`",
    "stages": "; write at least one stage under it",
    "rule": "; write delta, hard or soft",
    "at_least": "; write the val accuracy to reach",
    "hidden": "; write the widths of the hidden layers, `[]` for none",
}
_EXTRA = ("extra_forbidden", "unexpected_keyword_argument")


def add_errors(
    report: ProblemReport,
    error: ValidationError,
    document: Mapping[str, Any],
    *,
    under: Path = (),
    absent: Sequence[Path] = (),
    every: bool = False,
) -> list[Path]:
    """Add each of pydantic's errors to `report`; return where they are.

    Args:
        report: Takes the problems.
        error: What pydantic found in the document, or in the block `under` which it looked.
        document: The document as it was validated.
        under: Steps to that block.
        absent: Fields that were left out of the document on purpose; they are not missed.
        every: Also add what rules say in words of their own.
    """
    broken: list[Path] = []
    errors = error.errors(include_url=False)
    unknown = [found["loc"] for found in errors if found["type"] in _EXTRA]
    for found in errors:
        loc = [*under, *(step for step in found["loc"] if not str(step).startswith(FORM))]
        is_key = loc[-1:] == ["[key]"]
        loc = [step for step in loc if step != "[key]"]
        path = _reach(document, loc)
        kind, last = found["type"], loc[-1]
        if kind in _EXTRA:
            if every or not _belongs_to_another_form(path):
                broken.append(path)
                add_unknown(report, document, path)
        elif kind in ("missing", "missing_argument", "missing_keyword_only_argument"):
            path = (*_reach(document, loc[:-1]), last)
            if every or (path not in absent and not _missed_by_a_rule(path)):
                broken.append(path)
                if not any(_is_misspelt(one, found["loc"]) for one in unknown):
                    _missing(report, document, path)
        elif kind.startswith("union_tag"):
            broken += _no_form(report, document, path)
            if every:
                report.add(path, "has no form that is known")
        else:
            value = str(last) if is_key else get(document, path)
            rule, names, shown = _rule(kind, found, value, path)
            shows = shown and not isinstance(value, dict | list)
            report.add(path, rule, value if shows else NOT_GIVEN, names)
            broken.append(path)
    return broken


_NOTHING = object()


def _reach(document: Mapping[str, Any], loc: Sequence[str | int]) -> Path:
    """The place of an error. Steps that only the short form of a value lacks are passed over."""
    path: Path = ()
    value: Any = document
    for step in loc:
        if get(value, (step,), _NOTHING) is not _NOTHING:
            path, value = (*path, step), value[step]
    return path


def _inner(path: Path) -> tuple[list[str], bool]:
    """The blocks that a field is in, and whether they are those of a stage."""
    steps = [step for step in path[:-1] if isinstance(step, str)]
    if path[0] == "stages":
        return steps[2:], True
    return (steps[1:], True) if path[0] == "defaults" else (steps, False)


def _is_misspelt(unknown: Sequence[int | str], missing: Sequence[int | str]) -> bool:
    """Whether an unknown field is meant for a missing one: that is one mistake."""
    beside = len(missing) > 1 and unknown[:-1] == missing[:-1]
    return beside and bool(_close(str(unknown[-1]), [str(missing[-1])]))


def _belongs_to_another_form(path: Path) -> bool:
    """Whether a field is one of another form of its block: said with what has no effect."""
    inner, in_stage = _inner(path)
    name = str(path[-1])
    if not in_stage or len(path) < (3 if path[0] == "stages" else 2):
        return False
    if not inner:
        return name in (SELECT_ONLY if path[0] == "stages" else NOT_IN_DEFAULTS)
    if inner == ["model"]:
        return bool(owners(name))
    return len(inner) == 1 and inner[0] in FORMS and bool(FORMS[inner[0]].owners(name))


def _missed_by_a_rule(path: Path) -> bool:
    """A stage's model: its rule knows what to write."""
    return len(path) == 3 and path[0] == "stages" and path[2] == "model"


def _missing(report: ProblemReport, document: Mapping[str, Any], path: Path) -> None:
    if isinstance(path[-1], int):
        value = get(document, path[:-1])
        report.add(path[:-1], f"must hold at least {path[-1] + 1} values", value)
    else:
        report.add(path, "is missing" + _EXAMPLES.get(path[-1], ""))


def _no_form(report: ProblemReport, document: Mapping[str, Any], path: Path) -> list[Path]:
    """A model of no known form: a wrong family; how many forms it must have is a rule."""
    model = get(document, path)
    if not isinstance(model, dict) or [form for form in MODEL_FORMS if form in model] != [
        "family"
    ]:
        return []
    value = model["family"]
    shown = NOT_GIVEN if isinstance(value, dict | list) else value
    rule = f"must be {either(tuple(FAMILIES))}"
    report.add((*path, "family"), rule, shown, _close(value, tuple(FAMILIES)))
    return [(*path, "family")]


def add_unknown(report: ProblemReport, document: Mapping[str, Any], path: Path) -> None:
    """Report an unknown field, with the nearest among the fields that are valid there."""
    name = str(path[-1])
    valid = valid_fields(document, path)
    suggestion = _suggest(name, valid, path)
    if suggestion:
        report.add(path, f"no field {name!r} here; did you mean {suggestion!r}?")
    else:
        report.add(path, f"no field {name!r} here", names=valid)


def _suggest(name: str, valid: Sequence[str], path: Path) -> str | None:
    elsewhere = _ELSEWHERE.get(name)
    if elsewhere in valid:
        return elsewhere
    if len(path) == {"stages": 3, "defaults": 2}.get(str(path[0])):
        for block in ("soft", "optimizer", "model", "merit", "switch", "hard", "hint_phase"):
            if (elsewhere or name) in _all_fields(block):
                return f"{block}.{elsewhere or name}"
    if len(path) == 1 and name in STAGE_ORDER:
        return f"defaults.{name}"
    return None


def _all_fields(block: str) -> list[str]:
    """The fields of a block in any of its forms."""
    names = [name for kind in _BLOCKS[block] for name in field_names(kind)]
    return list(dict.fromkeys([*(MODEL_FORMS if block == "model" else ()), *names]))


def valid_fields(document: Mapping[str, Any], path: Path) -> Sequence[str]:
    """The fields valid beside `path`, as far as the forms written there leave them open."""
    if len(path) == 1:
        return [*field_names(ScheduleFields), "search"]
    inner, in_stage = _inner(path)
    if not inner:
        names: Sequence[str] = NOT_IN_DEFAULTS
        if path[0] == "stages":
            is_select = "select" in (get(document, path[:2]) or {})
            names = NOT_IN_SELECT if is_select else SELECT_ONLY[1:]
        return [name for name in STAGE_ORDER if name not in names]
    block = inner[-1]
    if block not in _BLOCKS:
        return []
    given = get(document, path[:-1])
    if not in_stage or not isinstance(given, dict):
        return _all_fields(block)
    if block == "model":
        kind = model_class(model_form(given))
        return _all_fields(block) if kind is None else field_names(kind)
    if block not in FORMS or (block == "switch" and "when" not in given):
        return _all_fields(block)
    found = field_names(FORMS[block].of({"rule": "delta", **given}))
    if block == "optimizer" and given.get("schedule") != "step":
        return [name for name in found if name not in STEP_FIELDS]
    return found


def _close(value: Any, names: Sequence[str]) -> Sequence[str] | None:
    """`names`, where one of them may be what `value` was meant to be."""
    return names if isinstance(value, str) and "did you mean" in nearest(value, names) else None


def _rule(
    kind: str, found: Mapping[str, Any], value: Any, path: Path
) -> tuple[str, Sequence[str] | None, bool]:
    """The rule that a value breaks, names to choose from, and whether the value is shown."""
    context: Mapping[str, Any] = found.get("ctx") or {}
    if kind == "rule":
        names = list(context.get("names", ()))
        if not context.get("shown", True):
            return str(context["rule"]), names, False
        return str(context["rule"]), _close(value, names), True
    if kind == "literal_error":
        names = _QUOTED.findall(str(context["expected"]))
        return f"must be {either(names)}", _close(value, names), True
    return _plain_rule(kind, found, context, value, path), None, True


def _plain_rule(
    kind: str, found: Mapping[str, Any], context: Mapping[str, Any], value: Any, path: Path
) -> str:
    if kind in _BOUNDS:
        field, sign = _BOUNDS[kind]
        return f"must be {sign} {context[field]:g}"
    if kind in _TYPES:
        return _TYPES[kind] + _advice(kind, value)
    if kind in ("model_type", "dataclass_type"):
        block = next((s for s in reversed(path) if isinstance(s, str)), "")
        is_stage = (len(path) == 2 and path[0] == "stages") or block not in _BLOCKS
        names = list(STAGE_ORDER) if is_stage else _all_fields(block)
        can_be_off = not is_stage and path[-1] in ("soft", "merit", "hint_phase")
        off = " or none" if can_be_off else ""
        shown = ", ".join(names[:MAX_NAMES]) + (", ..." if len(names) > MAX_NAMES else "")
        return f"must be fields ({shown}){off}"
    if kind == "too_long":
        number = len(value) if isinstance(value, dict | list) else 0
        return f"must hold at most {context['max_length']} values, got {number}"
    if kind == "too_short":
        return f"must hold at least {context['min_length']}"
    return f"is not valid: {found['msg']}"


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
