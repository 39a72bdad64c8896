"""The kinds of values that fields take, as pydantic types; nothing is converted silently.

A truth is no number, text is no number, `3.0` is no whole number (write `3`); a whole number
where a real one is meant is fine.
"""

import re
from collections.abc import Sequence
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
from pydantic_core import PydanticCustomError

RESERVED = frozenset({"all", "none", "choice", "int", "float", "log", "as"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class Spec(BaseModel):
    """A block of a schedule as written: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def refuse(rule: str, names: Sequence[str] = ()) -> PydanticCustomError:
    """An error of ours with the finished rule (and names to choose from), inside validators."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "names": tuple(names)})


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
