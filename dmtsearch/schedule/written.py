"""A schedule back to plain data: what the user wrote, in one order, in its shortest form."""

from typing import Any

from .blocks import SizeSpec
from .spec import SourceSpec
from .values import Spec


def written(spec: Spec) -> dict[str, Any]:
    """Return the fields that were given, in the order of the grammar, as plain data.

    One meaning has one form: `[x]` is written as `x`, `{at: 0.5}` as `0.5`, `4.0` as `4`; a block
    that is switched off as `none`.
    """
    plain: dict[str, Any] = {}
    for name in type(spec).model_fields:
        if name not in spec.model_fields_set:
            continue
        value = getattr(spec, name)
        if name == "args":
            plain[name] = value
        elif name == "source":
            plain[name] = _sources(value)
        else:
            plain[name] = "none" if value is None else _value(value)
    return plain


def _value(value: Any) -> Any:
    if isinstance(value, SizeSpec) and value.model_fields_set == {"at"}:
        return _value(value.at)
    if isinstance(value, Spec):
        return written(value)
    if isinstance(value, dict):
        return {name: _value(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _sources(value: tuple[SourceSpec, ...] | str | float) -> Any:
    """A stage's sources; a hint's `source` is a point, so a name or a number."""
    if not isinstance(value, tuple):
        return _value(value)
    items = [item.stage if item.epoch is None else written(item) for item in value]
    return "none" if not items else items[0] if len(items) == 1 else items
