"""The kinds of values that fields take, as pydantic types; nothing is converted silently.

A truth is no number, text is no number, `3.0` is no whole number (write `3`); a whole number
where a real one is meant is fine.
"""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)
from pydantic.dataclasses import dataclass
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

RESERVED = frozenset({"all", "none", "choice", "int", "float", "log", "as"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Spec(BaseModel):
    """The fields of a file: frozen, unknown ones refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


_CONFIG = ConfigDict(
    extra="forbid",
    use_attribute_docstrings=True,
    validate_by_name=True,
    validate_by_alias=True,
    arbitrary_types_allowed=True,
)


block = partial(dataclass, frozen=True, config=_CONFIG)
"""Makes a class of fields a block of a schedule: a frozen dataclass that checks its values.

A field's type has its bounds, its default is what holds where it is not given, and the line under
it is its description in the JSON Schema and its row in docs/schedule.md. Unknown fields are
refused.
"""


_names: dict[Any, tuple[str, ...]] = {}


def field_names(kind: Any) -> tuple[str, ...]:
    """The fields that a file may have in a block, as they are written there.

    A field of a type `SkipJsonSchema` is filled in when a file is read (a stage's name).
    """
    if kind not in _names:
        known = _known(kind).items()
        _names[kind] = tuple(found.alias or n for n, found in known if not _is_linked(found))
    return _names[kind]


def linked_names(kind: Any) -> tuple[str, ...]:
    """The fields of a block that reading fills in."""
    return tuple(name for name, found in _known(kind).items() if _is_linked(found))


def description(kind: Any, name: str) -> str | None:
    """The doc line of a field, of the class that declares it."""
    for parent in kind.__mro__:
        found = getattr(parent, "__pydantic_fields__", {}).get(name)
        if found is not None and found.description:
            return str(found.description)
    return None


def _known(kind: Any) -> dict[str, Any]:
    if issubclass(kind, BaseModel):
        return dict(kind.model_fields)
    known: dict[str, Any] = kind.__pydantic_fields__
    return {one.name: known[one.name] for one in fields(kind)}


def _is_linked(found: Any) -> bool:
    return any(type(one) is SkipJsonSchema for one in found.metadata)


def refuse(rule: str, names: Sequence[str] = (), *, shown: bool = True) -> PydanticCustomError:
    """An error of ours with the finished rule (and names to choose from), inside validators.

    Args:
        rule: What must hold.
        names: Names to choose from.
        shown: Whether the value is quoted after the rule; else the rule has it.
    """
    context = {"rule": rule, "names": tuple(names), "shown": shown}
    return PydanticCustomError("rule", "{rule}", context)


def is_stage_name(text: str) -> bool:
    """Letters, digits, `_` and `-`, a letter first; not one of the words of the grammar."""
    return _NAME.fullmatch(text) is not None and text not in RESERVED


def _name(text: str) -> str:
    if not is_stage_name(text):
        raise refuse(
            "must be a name: letters, digits, _ and -, a letter first, and none of "
            + ", ".join(sorted(RESERVED))
        )
    return text


def _factory(text: str) -> str:
    if not _FACTORY.fullmatch(text):
        raise refuse("must be 'package.module:function'")
    return text


def _not_empty(text: str) -> str:
    if not text.strip():
        raise refuse("must not be empty")
    return text


def none_word(value: Any) -> Any:
    """`none` switches a block off; Python's None is how that is held."""
    return None if value == "none" else value


def none_is_empty(value: Any) -> Any:
    """`none` is the empty list."""
    return [] if value == "none" else value


Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Truth = Annotated[bool, Strict()]
Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Chance = Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)]
Text = Annotated[str, Strict(), AfterValidator(_not_empty)]
StageName = Annotated[str, Strict(), AfterValidator(_name)]
Factory = Annotated[
    str,
    Strict(),
    AfterValidator(_factory),
    WithJsonSchema({"type": "string", "pattern": _FACTORY.pattern.replace("\\w", "[A-Za-z0-9_]")}),
]


def is_own(name: object) -> bool:
    """Whether a name is `package.module:function`."""
    return isinstance(name, str) and _FACTORY.fullmatch(name) is not None


def named_or_own(*names: str) -> Any:
    """One of these names, or `package.module:function`."""
    rule = f"must be {', '.join(names)} or 'package.module:function'"
    pattern = _FACTORY.pattern.replace("\\w", "[A-Za-z0-9_]")

    def check(text: str) -> str:
        if text not in names and not _FACTORY.fullmatch(text):
            raise refuse(rule, names)
        return text

    schema = {"anyOf": [{"enum": list(names)}, {"type": "string", "pattern": pattern}]}
    return Annotated[str, Strict(), AfterValidator(check), WithJsonSchema(schema)]


Args = dict[str, Any]
"""Arguments for somebody else's function: any plain values."""


def _is_whole(value: Any, at_least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= at_least


def counts(*, words: tuple[str, ...] = (), single: bool = False, empty: bool = False) -> Any:
    """A list of whole numbers of at least 1; as chosen also a word, one number, or no number."""
    kinds = [*words, *(["a whole number >= 1"] if single else [])]
    schemas: list[dict[str, Any]] = [{"const": word} for word in words]
    if single:
        schemas.append({"type": "integer", "minimum": 1})
    item = {"type": "integer", "minimum": 1}
    schemas.append({"type": "array", "items": item, "minItems": 0 if empty else 1})
    rule = "must be " + " or ".join([*kinds, "a list of whole numbers >= 1"])

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in words:
            return value
        if single and _is_whole(value):
            return value
        if isinstance(value, list | tuple) and all(_is_whole(item) for item in value):
            if value or empty:
                return tuple(value)
            raise refuse("must hold at least one number")
        raise refuse(rule)

    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return Annotated[str | int | tuple[int, ...], BeforeValidator(check), WithJsonSchema(schema)]


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _per_channel(above: float | None) -> Any:
    def check(value: Any) -> Any:
        numbers = list(value) if isinstance(value, list | tuple) else [value]
        if value == "imagenet":
            return value
        if not numbers or not all(_is_real(number) for number in numbers):
            raise refuse("must be a number, a list of numbers (one per channel) or imagenet")
        if above is not None and any(not number > above for number in numbers):
            raise refuse(f"must be above {above:g}")
        floats = tuple(float(number) for number in numbers)
        return floats if isinstance(value, list | tuple) else floats[0]

    schema = {
        "anyOf": [
            {"type": "number"},
            {"type": "array", "items": {"type": "number"}, "minItems": 1},
            {"const": "imagenet"},
        ]
    }
    kinds = float | tuple[float, ...] | str
    return Annotated[kinds, BeforeValidator(check), WithJsonSchema(schema)]


Mean = _per_channel(None)
Std = _per_channel(0.0)


def plain(value: Any) -> Any:
    """Return a value of a schedule as a file has it: blocks as dicts, tuples as lists.

    One number has one form: `4.0` is `4`. What a block does not have (None) is left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        known = _known(type(value))
        pairs = ((known[name].alias or name, getattr(value, name)) for name in known)
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
