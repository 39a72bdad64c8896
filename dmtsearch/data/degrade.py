"""Spoil samples on purpose: a pure function of (kind, severity, seed, split, sample, draw)."""

import torch
from torch import Tensor

from ..errors import DataError, nearest
from .degradations import DEGRADATIONS, Form, Spoil
from .moments import Moments
from .spoiling import find_levels, sample_chance, spread

_CHUNK = 1 << 21
"""Values spoilt at once; bounds the memory beside the result, and changes nothing in it."""


def degrade(
    x: Tensor,
    *,
    kind: str,
    severity: Tensor | float,
    seed: int,
    split: str,
    index: Tensor,
    draw: Tensor | int = 0,
    modality: str = "",
    moments: Moments | None = None,
) -> Tensor:
    """Return the samples spoilt by one kind of degradation.

    A sample's result depends on (kind, severity, seed, split, modality, its index, its draw) and
    on nothing else: not on its batch or any generator's state. Severity 0 returns it as it is; in
    the mean over samples, a larger severity moves it further from what it was.

    Args:
        x: Samples as stored, before normalisation, [B, C, H, W] or [B, F], uint8 or float.
        kind: A name in `DEGRADATIONS`, where the meaning of its severity stands.
        severity: In [0, 1], one for all or [B].
        seed: The schedule's seed.
        split: Name of the split that the samples are of.
        index: Each sample's own number, int64, [B] (`Split.index`).
        draw: Which draw of the sample, one for all or [B]; other draws are spoilt otherwise.
        modality: Name of the modality; two of one sample are spoilt independently.
        moments: Of the training split (`DataSet.moments`); uint8 images need none.

    Returns:
        Same shape, dtype and device; uint8 is rounded and cut to 0 .. 255.

    Raises:
        DataError: An unknown kind, one that does not fall on such samples, a severity outside
            [0, 1] or missing moments.
    """
    form = data_form(tuple(x.shape[1:]))
    spoil = _function(kind, form)
    if moments is None and (form == "features" or x.dtype != torch.uint8):
        raise DataError(f"{kind} of {form} in {x.dtype} needs the moments of the training split")
    severities = _for_each(severity, x, torch.float32)
    # Also refuses NaN, which no comparison holds for.
    if not bool(((severities >= 0) & (severities <= 1)).all()):
        raise DataError(f"a severity lies between 0 and 1, got {severity}")
    levels = find_levels(x, moments)
    index = index.to(x.device)
    draws = _for_each(draw, x, torch.int64)
    parts = []
    step = max(1, _CHUNK // max(1, x[:1].numel()))
    for first in range(0, len(x), step):
        some = slice(first, first + step)
        chance = sample_chance(
            index[some], draws[some], seed=seed, split=split, use=f"{modality}/{kind}"
        )
        spoilt = spoil(x[some].float(), severities[some], levels, chance)
        untouched = spread(severities[some] == 0, x)
        parts.append(torch.where(untouched, x[some], _as_stored(spoilt, x.dtype)))
    return torch.cat(parts) if parts else x


def data_form(shape: tuple[int, ...]) -> Form:
    """Return which degradations fall on samples of this shape: (C, H, W) or (F,)."""
    return "images" if len(shape) == 3 else "features"


def fitting_kinds(form: Form) -> tuple[str, ...]:
    """Return the kinds that fall on images, or on features."""
    return tuple(kind for kind, way in DEGRADATIONS.items() if form in way.functions)


def refuse_unfit(kind: str, form: Form, modality: str = "") -> None:
    """Raise `DataError` unless `kind` is known and falls on such data."""
    if kind not in DEGRADATIONS:
        raise DataError(f"no degradation {kind!r}{nearest(kind, DEGRADATIONS)}")
    if form not in DEGRADATIONS[kind].functions:
        of = f"modality {modality!r} holds {form}" if modality else f"the data holds {form}"
        raise DataError(
            f"degradation {kind!r} is not for {form}, and {of}; "
            f"for {form}: {', '.join(fitting_kinds(form))}"
        )


def _function(kind: str, form: Form) -> Spoil:
    refuse_unfit(kind, form)
    return DEGRADATIONS[kind].functions[form]


def _for_each(value: Tensor | float, x: Tensor, dtype: torch.dtype) -> Tensor:
    """One value for each sample, [B], on the device of x."""
    return torch.as_tensor(value, device=x.device).to(dtype).expand(len(x))


def _as_stored(values: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.uint8:
        return values.round().clamp(0, 255).to(torch.uint8)
    return values.to(dtype)
