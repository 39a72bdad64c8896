"""Reading a model's specification (docs/schedule.md): plain data in, a checked form out."""

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ModelError, nearest
from .limits import MAX_DOUBLINGS, MAX_NUMBER, refuse_deep, short
from .mlp import MlpShape, count_mlp
from .plain import PlainShape, count_plain
from .presets import PRESETS
from .resnet import ResNetShape, count_resnet

Shape = PlainShape | ResNetShape | MlpShape

COMMON = ("weights", "head", "input")
"""Fields of every form."""
FORMS: Mapping[str, tuple[str, ...]] = {
    "family": (),
    "preset": (),
    "torchvision": ("args",),
    "timm": ("args",),
    "factory": ("args", "version"),
}
"""The field that names a form, and the fields that only this form has."""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "plain": ("widths", "base", "blocks", "convs", "pool", "pool_ceil", "head", "dropout", "norm"),
    "resnet": ("widths", "base", "blocks", "bottleneck", "dropout"),
    "mlp": ("hidden", "dropout", "norm"),
}
"""Each family's own fields, `size` aside: it is resolved to `widths` before a net is built."""
SIZED = ("plain", "resnet")
"""Families that `size` can scale."""


def is_foreign(spec: Mapping[str, Any]) -> bool:
    """Whether code that is not ours builds the net: a factory, torchvision or timm."""
    return any(form in spec for form in ("factory", "torchvision", "timm"))


def form_of(spec: Mapping[str, Any]) -> str:
    """Return which of `FORMS` a specification has.

    Raises:
        ModelError: It has none or several, or a field that its form does not have.
    """
    forms = [form for form in FORMS if form in spec]
    if len(forms) != 1:
        found = " and ".join(forms) or "none"
        raise ModelError(f"a model needs exactly one of {', '.join(FORMS)}; it has {found}")
    form = forms[0]
    allowed = [form, *COMMON, *FORMS[form]]
    if form == "family":
        family = spec["family"]
        if not isinstance(family, str) or family not in FAMILIES:
            raise ModelError(f"no family {family!r}{nearest(family, FAMILIES)}")
        allowed += [*FAMILIES[family], *(["size"] if family in SIZED else [])]
    for field in spec:
        if field not in allowed:
            owner = f"{form} {spec[form]}" if form in ("family", "preset") else form
            raise ModelError(f"a model of {owner} has no field {field!r}{nearest(field, allowed)}")
    return form


def shape_of(spec: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a family or preset; None for models from outside.

    Raises:
        ModelError: A field is unknown, missing or malformed, or `size` is not resolved yet.
    """
    form = form_of(spec)
    if form == "preset":
        name = spec["preset"]
        if not isinstance(name, str) or name not in PRESETS:
            raise ModelError(f"no preset {name!r}{nearest(name, PRESETS)}")
        return PRESETS[name]
    if form != "family":
        return None
    if "size" in spec:
        raise ModelError("`size` is not resolved yet; call resolve_size before building")
    readers: Mapping[str, Callable[[Mapping[str, Any]], Shape]] = {
        "plain": _read_plain,
        "resnet": _read_resnet,
        "mlp": _read_mlp,
    }
    return readers[spec["family"]](spec)


def count_shape(shape: Shape, in_shape: tuple[int, ...], num_classes: int) -> int:
    """Return the trainable parameters of a family's or preset's net, without building it."""
    if isinstance(shape, PlainShape):
        return count_plain(shape, in_shape, num_classes)
    if isinstance(shape, ResNetShape):
        return count_resnet(shape, in_shape, num_classes)
    return count_mlp(shape, in_shape, num_classes)


def _read_plain(spec: Mapping[str, Any]) -> PlainShape:
    if "widths" in spec:
        _refuse(spec, "widths", "base", "blocks")
        widths = _ints(spec, "widths")
    elif "base" in spec:
        widths = doubling(_int(spec, "base"), _int(spec, "blocks", 4))
    else:
        raise ModelError("a plain net needs `widths`, `base` or `size`")
    refuse_deep(sum(convs_of(spec, len(widths))), "convs")
    refuse_deep(len(hidden_head(spec)), "head")
    return PlainShape(
        widths=widths,
        convs=convs_of(spec, len(widths)),
        pool=_pool(spec),
        pool_ceil=_bool(spec, "pool_ceil", True),
        head=hidden_head(spec),
        dropout=_chance(spec, "dropout"),
        norm=_bool(spec, "norm", True),
    )


def _read_resnet(spec: Mapping[str, Any]) -> ResNetShape:
    if "blocks" not in spec:
        raise ModelError("a resnet needs `blocks`: residual blocks in each group, like [3, 3, 3]")
    blocks = _ints(spec, "blocks")
    refuse_deep(sum(blocks), "blocks")
    bottleneck = _bool(spec, "bottleneck", False)
    if "widths" in spec:
        _refuse(spec, "widths", "base")
        widths = _ints(spec, "widths")
        if len(widths) != len(blocks):
            raise ModelError(f"{len(widths)} widths do not fit {len(blocks)} groups of blocks")
    else:
        widths = doubling(_int(spec, "base", 64 if bottleneck else 16), len(blocks))
    return ResNetShape(blocks, widths, bottleneck, _chance(spec, "dropout"))


def _read_mlp(spec: Mapping[str, Any]) -> MlpShape:
    if "hidden" not in spec:
        raise ModelError("an mlp needs `hidden`: features of each hidden layer, like [64, 32]")
    hidden = _ints(spec, "hidden", empty=True)
    refuse_deep(len(hidden), "hidden")
    return MlpShape(hidden, _chance(spec, "dropout"), _bool(spec, "norm", False))


def doubling(base: int, count: int) -> tuple[int, ...]:
    """Return `base` times 1, 2, 4, 8, ...

    Raises:
        ModelError: More than 40 numbers: no net of such widths fits into any memory.
    """
    if count > MAX_DOUBLINGS:
        raise ModelError(
            f"{short(count)} blocks, each of twice the width of the one before; at most "
            f"{MAX_DOUBLINGS}, or give `widths`"
        )
    return tuple(base * 2**index for index in range(count))


def convs_of(spec: Mapping[str, Any], blocks: int) -> tuple[int, ...]:
    """Return the convolutions of each block, from one number or from one a block."""
    convs = spec.get("convs", 2)
    if not isinstance(convs, list | tuple):
        return (_int(spec, "convs", 2),) * blocks
    if len(convs) != blocks:
        raise ModelError(f"convs {list(convs)} has {len(convs)} numbers for {blocks} blocks")
    return _ints(spec, "convs")


def hidden_head(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the hidden linear layers of a plain net's head; none where `head` is `new`."""
    return () if spec.get("head") == "new" else _ints(spec, "head", empty=True)


def new_head(spec: Mapping[str, Any]) -> bool:
    """Return whether the head is drawn anew in place of the one in the weights.

    Raises:
        ModelError: `head` is neither `new` nor a plain net's list.
    """
    head = spec.get("head")
    if head is None or head == "new":
        return head == "new"
    if spec.get("family") != "plain":
        raise ModelError(f"head is {head!r}; it may be `new`, and a list only for family: plain")
    return False


def _pool(spec: Mapping[str, Any]) -> tuple[int, int]:
    pool = _ints(spec, "pool") if "pool" in spec else (2, 2)
    if len(pool) != 2:
        raise ModelError(f"pool is {spec['pool']!r}; give [kernel, stride], like [2, 2]")
    return pool[0], pool[1]


def _refuse(spec: Mapping[str, Any], given: str, *others: str) -> None:
    both = [other for other in others if other in spec]
    if both:
        raise ModelError(f"`{given}` and `{both[0]}` say the same thing twice; keep one of them")


def _int(spec: Mapping[str, Any], field: str, default: int | None = None) -> int:
    return positive(field, spec.get(field, default))


def _ints(spec: Mapping[str, Any], field: str, *, empty: bool = False) -> tuple[int, ...]:
    values = spec.get(field, ())
    if not isinstance(values, list | tuple) or not (values or empty):
        raise ModelError(f"{field} is {values!r}; give a list of whole numbers, at least 1 each")
    return tuple(positive(field, value) for value in values)


def positive(field: str, value: object) -> int:
    """Return `value` if it is a whole number of at least 1, else refuse it by its field."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"{field} has {value!r}; it takes whole numbers of at least 1")
    if value > MAX_NUMBER:
        raise ModelError(f"{field} has {short(value)}; at most {short(MAX_NUMBER)}")
    return value


def _bool(spec: Mapping[str, Any], field: str, default: bool) -> bool:
    value = spec.get(field, default)
    if not isinstance(value, bool):
        raise ModelError(f"{field} is {value!r}; it takes true or false")
    return value


def _chance(spec: Mapping[str, Any], field: str) -> float:
    value = spec.get(field, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ModelError(f"{field} is {value!r}; it takes a chance of at least 0 and less than 1")
    return float(value)
