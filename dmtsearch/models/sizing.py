"""`size`: the net of a family that comes nearest to a number of parameters."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ..errors import ModelError
from .construct import build_skeleton
from .families import FAMILIES
from .limits import refuse_huge
from .probe import count_params
from .shape import SizedShape
from .spec import form_of, shape_of

MAX_MISS = 0.25
"""Largest relative distance from the wanted number of parameters that is accepted."""


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
    family = FAMILIES.get(spec["family"]) if form_of(spec) == "family" else None
    if family is None or not issubclass(family, SizedShape):
        sized = [name for name, kind in FAMILIES.items() if issubclass(kind, SizedShape)]
        raise ModelError(f"`size` scales the families {' and '.join(sized)}; name widths here")
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
    fixed = {name: value for name, value in spec.items() if name != "size"}
    first_shape = None if start is None else shape_of(start)
    base = family.unscaled(fixed, first_shape if isinstance(first_shape, family) else None)
    shape = _nearest(base, params, in_shape, num_classes)
    kept = {name: value for name, value in fixed.items() if name not in family.REPLACED}
    return {**kept, **shape.resolved()}


def _between(at: float, first: int, last: int) -> int:
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= 1:
        raise ModelError(f"size is {at!r}; it lies in [0, 1], or is {{params: N}}")
    return round(math.exp((1 - at) * math.log(last) + at * math.log(first)))


def _count(spec: Mapping[str, Any], in_shape: Sequence[int], num_classes: int) -> int:
    shape = shape_of(spec)
    if shape is not None:
        return shape.count(in_shape, num_classes)
    return count_params(build_skeleton(spec, in_shape=in_shape, num_classes=num_classes))


def _nearest(
    base: SizedShape, target: int, in_shape: tuple[int, ...], num_classes: int
) -> SizedShape:
    def scaled(factor: Fraction) -> SizedShape:
        widths = tuple(_rounded(factor * width) for width in base.widths)
        return replace(base, widths=widths)  # type: ignore[type-var]  # shapes are dataclasses

    def count(factor: Fraction) -> int:
        return scaled(factor).count(in_shape, num_classes)

    crossing = _crossing(count, target)
    # Parameters are a rising step function of the factor that jumps where a width is rounded up:
    # the nearest net lies at the last jump before the target is crossed, or at the first after.
    jumps = {
        Fraction(2 * (math.floor(crossing * width + Fraction(1, 2)) + step) - 1, 2 * width)
        for width in base.widths
        for step in (0, 1)
    }
    nets = [scaled(factor) for factor in sorted({*jumps, Fraction(0)}) if factor >= 0]
    counts = [net.count(in_shape, num_classes) for net in nets]
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
