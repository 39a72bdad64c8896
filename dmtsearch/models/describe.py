"""A model in a few words, for tables and pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from .plain import PlainShape
from .resnet import ResNetShape
from .spec import form_of, shape_of


def describe_model(spec: Mapping[str, Any]) -> str:
    """Return a short text like `plain 64-128-256-512, 2 convs a block`; builds nothing.

    Raises:
        ModelError: The specification is not one of docs/schedule.md.
    """
    form = form_of(spec)
    words = [_body(spec, form)]
    if spec.get("weights"):
        words.append(f"weights {spec['weights']}")
    if spec.get("head") == "new":
        words.append("new head")
    return ", ".join(words)


def _body(spec: Mapping[str, Any], form: str) -> str:
    if form == "preset":
        return str(spec["preset"])
    if form != "family":
        return f"{form} {spec[form]}{_args(spec.get('args') or {})}"
    if "size" in spec:
        return f"{spec['family']} of {_size(spec['size'])}"
    shape = shape_of(spec)
    if isinstance(shape, PlainShape):
        return f"plain {_chain(shape.widths)}, {_each(shape.convs)} convs a block"
    if isinstance(shape, ResNetShape):
        kind = "bottlenecks" if shape.bottleneck else "residual blocks"
        return f"resnet {_chain(shape.widths)}, {_each(shape.blocks)} {kind} a group"
    hidden = spec["hidden"]
    return f"mlp {_chain(hidden)}" if hidden else "mlp without hidden layers"


def _size(size: Any) -> str:
    if isinstance(size, Mapping) and "params" in size:
        return f"{size['params']:,} parameters"
    return f"size {size['at'] if isinstance(size, Mapping) else size}"


def _chain(values: Sequence[int]) -> str:
    return "-".join(map(str, values))


def _each(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else _chain(values)


def _args(args: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{name}={value}" for name, value in args.items())
    return f" ({inside})" if inside else ""
