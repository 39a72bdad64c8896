"""What a model's specification (docs/schedule.md) says: form, shape, canonical form, words."""

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import ModelError, nearest
from ..preimages import without_defaults
from .families import FAMILIES
from .presets import PRESETS
from .shape import Shape

FORMS = ("family", "preset", "torchvision", "timm", "factory")
"""The fields that name a form, of which a model has exactly one."""


def is_foreign(spec: Mapping[str, Any]) -> bool:
    """Whether code that is not ours builds the net: a factory, torchvision or timm."""
    return any(form in spec for form in ("factory", "torchvision", "timm"))


def form_of(spec: Mapping[str, Any]) -> str:
    """Return which of `FORMS` a specification has.

    Raises:
        ModelError: It has none or several.
    """
    forms = [form for form in FORMS if form in spec]
    if len(forms) != 1:
        found = " and ".join(forms) or "none"
        raise ModelError(f"a model needs exactly one of {', '.join(FORMS)}; it has {found}")
    return forms[0]


def shape_of(spec: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a family or preset; None for models from outside.

    Raises:
        ModelError: No such family or preset, or a shape that is no net's; `size` is not resolved
            yet.
    """
    form = form_of(spec)
    if form not in ("family", "preset"):
        return None
    name: str = spec[form]
    table: Collection[str] = FAMILIES if form == "family" else PRESETS
    if not isinstance(name, str) or name not in table:
        raise ModelError(f"no {form} {name!r}{nearest(name, table)}")
    if form == "preset":
        return PRESETS[name]
    if "size" in spec:
        raise ModelError("`size` is not resolved yet; call resolve_size before building")
    return FAMILIES[name].read(spec)


def new_head(spec: Mapping[str, Any]) -> bool:
    """Return whether a new head is drawn in place of the one in the weights."""
    return bool(spec.get("head") == "new")


def canonical_model(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification in its one form: defaults of families left out, presets as families.

    Two specifications of one net give equal results, so that a stage's key does not depend on
    how its model was written. `input` is left out: it is no part of the net.

    Args:
        spec: Its `size` resolved.

    Raises:
        ModelError: The specification is not one of docs/schedule.md.
    """
    shape, form = shape_of(spec), form_of(spec)
    found: dict[str, Any]
    if shape is not None:
        family = next(name for name, kind in FAMILIES.items() if isinstance(shape, kind))
        found = {"family": family, **without_defaults(shape)}
    else:
        found = {form: spec[form], "args": dict(spec.get("args") or {})}
        if form == "factory":
            found["version"] = spec.get("version", 1)
            if spec.get("untrained"):
                found["untrained"] = True
    if spec.get("weights") is not None:
        found["weights"] = spec["weights"]
    if new_head(spec):
        found["new_head"] = True
    return found


def describe_model(spec: Mapping[str, Any]) -> str:
    """Return a short text like `plain 64-128-256-512, 2 convs a block`; builds nothing.

    Raises:
        ModelError: The specification is not one of docs/schedule.md.
    """
    words = [_body(spec, form_of(spec))]
    if spec.get("weights"):
        words.append(f"weights {spec['weights']}")
    if new_head(spec):
        words.append("new head")
    return ", ".join(words)


def _body(spec: Mapping[str, Any], form: str) -> str:
    if form == "family" and "size" in spec:
        return f"{spec['family']} of {_size(spec['size'])}"
    shape = shape_of(spec)
    if form == "family" and shape is not None:
        return shape.describe()
    if form == "preset":
        return str(spec["preset"])
    args = ", ".join(f"{name}={value}" for name, value in (spec.get("args") or {}).items())
    return f"{form} {spec[form]}" + (f" ({args})" if args else "")


def _size(size: Any) -> str:
    if isinstance(size, Mapping) and "params" in size:
        return f"{size['params']:,} parameters"
    return f"size {size['at'] if isinstance(size, Mapping) else size}"
