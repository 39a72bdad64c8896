"""`size`: the net of a family that comes nearest to a number of parameters."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..errors import ModelError
from .build import build_skeleton
from .limits import refuse_huge
from .plain import PlainShape
from .probe import count_params
from .resnet import ResNetShape
from .spec import SIZED, count_shape, doubling, form_of, positive, shape_of

MAX_MISS = 0.25
"""Largest relative distance from the wanted number of parameters that is accepted."""

Sizable = PlainShape | ResNetShape


def resolve_size(
    spec: Mapping[str, Any],
    *,
    in_shape: Sequence[int],
    num_classes: int,
    params: int | None = None,
    at: float | None = None,
    start: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
    start_in_shape: Sequence[int] | None = None,
    end_in_shape: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return the specification with `widths` in the place of `size`.

    Either a number of parameters is wanted (`params`, or `size: {params: N}` in the
    specification), or a place between two nets: log P = (1 - at) log P_end + at log P_start.

    The start's block widths are scaled by one number and each is rounded by itself, to at least
    1; of all nets that this can give, the one nearest in parameters is taken. A start of another
    family or with another number of blocks gives way to the ratios 1, 2, 4, 8, ...

    Args:
        spec: A plain or resnet specification with `size`.
        in_shape: What the net reads, without the batch.
        num_classes: Classes of the data.
        params: Trainable parameters wanted.
        at: 1 is as big as the start, 0 as small as the end.
        start: Specification of the chain's first net; also gives the ratios for `params`.
        end: Specification of its last net.
        start_in_shape: What the start reads, where that differs.
        end_in_shape: What the end reads, where that differs.

    Raises:
        ModelError: The family has no sizes, a field is missing or out of range, or the nearest
            net misses the wanted number by more than 25 %.
    """
    if form_of(spec) != "family" or spec["family"] not in SIZED:
        raise ModelError(f"`size` scales the families {' and '.join(SIZED)}; name widths here")
    in_shape = tuple(in_shape)
    if params is None and at is None and isinstance(spec.get("size"), Mapping):
        params = spec["size"].get("params")
    if params is None:
        if at is None or start is None or end is None:
            raise ModelError("`size` needs {params: N}, or a place between a start and an end")
        first = _count(start, start_in_shape or in_shape, num_classes)
        last = _count(end, end_in_shape or in_shape, num_classes)
        params = _between(at, first, last)
    if isinstance(params, bool) or not isinstance(params, int) or params < 1:
        raise ModelError(f"size.params is {params!r}; it takes a whole number of at least 1")
    refuse_huge(params)
    base = _unscaled(spec, None if start is None else _shape(start))
    shape = _nearest(base, params, in_shape, num_classes)
    fields = {"blocks": list(shape.blocks)} if isinstance(shape, ResNetShape) else {}
    kept = {name: spec[name] for name in spec if name not in ("size", "base", "blocks", "widths")}
    return {**kept, **fields, "widths": list(shape.widths)}


def _between(at: float, first: int, last: int) -> int:
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= 1:
        raise ModelError(f"size is {at!r}; it lies in [0, 1], or is {{params: N}}")
    return round(math.exp((1 - at) * math.log(last) + at * math.log(first)))


def _shape(spec: Mapping[str, Any]) -> Sizable | None:
    shape = shape_of(spec)
    return shape if isinstance(shape, Sizable) else None


def _count(spec: Mapping[str, Any], in_shape: Sequence[int], num_classes: int) -> int:
    shape = shape_of(spec)
    if shape is not None:
        return count_shape(shape, tuple(in_shape), num_classes)
    return count_params(build_skeleton(spec, in_shape=in_shape, num_classes=num_classes))


def _unscaled(spec: Mapping[str, Any], start: Sizable | None) -> Sizable:
    """Return the specification's net at the width ratios that are scaled."""
    family = PlainShape if spec["family"] == "plain" else ResNetShape
    kin = start if isinstance(start, family) else None
    count = _num_blocks(spec, kin)
    ratios = kin.widths if kin and len(kin.widths) == count else doubling(1, count)
    fields = {name: spec[name] for name in spec if name not in ("size", "base", "widths")}
    if family is PlainShape:
        fields.pop("blocks", None)
    elif isinstance(kin, ResNetShape):
        fields.setdefault("blocks", list(kin.blocks))
    shape = shape_of({**fields, "widths": list(ratios)})
    assert isinstance(shape, Sizable)  # the family was looked at before
    return shape


def _num_blocks(spec: Mapping[str, Any], kin: Sizable | None) -> int:
    for field in ("blocks", "convs"):
        if isinstance(spec.get(field), list | tuple):
            return len(spec[field])
    if "blocks" in spec:
        return positive("blocks", spec["blocks"])
    return len(kin.widths) if kin else 4


def _nearest(base: Sizable, target: int, in_shape: tuple[int, ...], num_classes: int) -> Sizable:
    def scaled(factor: Fraction) -> Sizable:
        return replace(base, widths=tuple(_rounded(factor * width) for width in base.widths))

    def count(factor: Fraction) -> int:
        return count_shape(scaled(factor), in_shape, num_classes)

    crossing = _crossing(count, target)
    # Parameters are a rising step function of the factor that jumps where a width is rounded up:
    # the nearest net lies at the last jump before the target is crossed, or at the first after.
    jumps = {
        Fraction(2 * (math.floor(crossing * width + Fraction(1, 2)) + step) - 1, 2 * width)
        for width in base.widths
        for step in (0, 1)
    }
    nets = [scaled(factor) for factor in sorted({*jumps, Fraction(0)}) if factor >= 0]
    counts = [count_shape(net, in_shape, num_classes) for net in nets]
    miss, best = min((abs(num - target), index) for index, num in enumerate(counts))
    if miss > MAX_MISS * target:
        raise ModelError(
            f"size out of reach: {target:,} parameters wanted, the nearest net has "
            f"{counts[best]:,} with widths {list(nets[best].widths)}, more than "
            f"{MAX_MISS:.0%} off; change size, the number of convolutions or blocks, or the head"
        )
    return nets[best]


def _rounded(width: Fraction) -> int:
    return max(1, math.floor(width + Fraction(1, 2)))


def _crossing(count: Callable[[Fraction], int], target: int) -> Fraction:
    """Return a factor just below the one at which the parameters come to exceed the target."""
    high = Fraction(1)
    while count(high) <= target:
        high *= 2
    low = Fraction(0)
    for _ in range(40):
        middle = (low + high) / 2
        if count(middle) <= target:
            low = middle
        else:
            high = middle
    return low
