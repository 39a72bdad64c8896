"""What goes into the pre-images of keys: of each block, only what is not as it is by default.

So a field that a later version adds, with a default that changes nothing, changes no key. In
return a default may never change under one `STAGE_FORMAT`: what is left out would then mean
something else (a test pins all defaults that keys rely on).
"""

from collections.abc import Collection
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from .files import canonical_json

STAGE_FORMAT = 2
"""Raised whenever the same pre-image would train to something else than before.

1: Every default was written out (until dmtsearch 0.1).
"""

_SCALARS = {bool, int, float, str, type(None)}


def without_defaults(block: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return a block's fields as plain data, those left out that equal their declared default.

    Blocks within it are treated in the same way, so that a block of defaults alone is `{}`,
    which is another value than a block that is not there.

    Args:
        block: A dataclass instance. A field without a default is always returned: one that says
            which of several classes a block has must be such a field.
        without: Fields that are not wanted, whatever they hold.
    """
    usual = getattr(type(block), "USUAL", None)
    if usual is None:
        defaults = {field.name: _default(field) for field in fields(block)}
    else:
        # A block with several forms: what is left out must mean the same in each.
        defaults = {
            field.name: getattr(usual, field.name, _default(field)) for field in fields(block)
        }
    always = getattr(type(block), "IN_KEYS", ())
    found = {}
    for name in dict.fromkeys([*defaults, *always]):
        value = getattr(block, name, None)
        if name not in without and (name in always or not _is(value, defaults[name])):
            found[name] = _plain(value)
    return found


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return MISSING if field.default_factory is MISSING else field.default_factory()


def _is(value: Any, default: Any) -> bool:
    if default is MISSING or (is_dataclass(value) and not isinstance(value, type(default))):
        return False
    kinds = {type(value), type(default)}
    if kinds <= _SCALARS and kinds != {int, float}:
        return len(kinds) == 1 and bool(value == default)  # as below, and faster
    # As JSON, so that 1 and 1.0, and a tuple and a list, are as equal as they are in a key.
    return canonical_json(_plain(value)) == canonical_json(_plain(default))


def _plain(value: Any) -> Any:
    if hasattr(value, "preimage"):
        return value.preimage()
    if is_dataclass(value):
        return without_defaults(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
