"""Degrade samples on purpose: a pure function of (kind, severity, seed, split, sample, draw).

Values are float32 in the stored unit, [B, C, H, W] of images and [B, F] of features; severity [B]
in [0, 1]. `DEGRADATIONS` says what each severity means. Where a degradation covers pixels, those
of a smaller severity are among those of a larger one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import DataError, nearest
from .blur import gaussian_blur
from .moments import Moments
from .sample_rng import SampleRng, sample_rng

Form = Literal["images", "features"]
"""`images`: samples [C, H, W]. `features`: samples [F]."""

_CHUNK = 1 << 21
"""Values degraded at once; bounds the memory beside the result, and changes nothing in it."""


@dataclass(frozen=True)
class Levels:
    """Black, white, mean and standard deviation, in the unit of the stored values.

    Tensors that broadcast with the samples: [C, 1, 1] of images, [F] of features.
    """

    black: Tensor
    white: Tensor
    mean: Tensor
    std: Tensor


def find_levels(x: Tensor, moments: Moments | None) -> Levels:
    """Return the levels of samples [B, C, H, W] or [B, F].

    Without moments (uint8 images need none) the mean is taken to be mid-range.
    """
    unit = 255.0 if x.dtype == torch.uint8 else 1.0
    shape = (-1, *(1 for _ in x.shape[2:]))
    middle = torch.full((1,), 0.5, device=x.device)
    mean, std = (m.to(x.device) for m in moments) if moments is not None else (middle, middle / 2)
    mean, std = (mean * unit).reshape(shape), (std * unit).reshape(shape)
    if x.dtype == torch.uint8:
        return Levels(torch.zeros_like(mean), torch.full_like(mean, unit), mean, std)
    return Levels(mean - 2 * std, mean + 2 * std, mean, std)


DegradeFunction = Callable[[Tensor, Tensor, Levels, SampleRng], Tensor]
"""(values float32 [B, ...], severity [B], levels, rng) to the degraded values, float32."""


_NOISE_SHARE = 0.5
_PEPPER_SHARE = 0.5
_COVER_SHARE = 0.75
_BLUR_SHARE = 0.15
_STOPS = 5.0
_READ_NOISE_SHARE = 0.02

_PLACE, _FLIP, _GREY, _WHICH = range(4)
"""Uses of the random numbers within a degradation."""


def image_noise(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Add Gaussian noise, as of a sensor at high gain."""
    size = spread(severity * _NOISE_SHARE, x) * (levels.white - levels.black)
    return x + size * rng.normals(x.shape)


def image_salt_pepper(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Turn pixels black or white, as dead and stuck ones are."""
    height, width = x.shape[2:]
    shape = (-1, 1, height, width)
    place = rng.uniforms(height * width, _PLACE).reshape(shape)
    white = rng.uniforms(height * width, _FLIP).reshape(shape) < 0.5
    hit = place < spread(severity * _PEPPER_SHARE, x)
    return torch.where(hit, torch.where(white, levels.white, levels.black), x)


def image_occlusion(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Cover a block or a stripe, drawn for each sample."""
    block = image_occlusion_block(x, severity, levels, rng)
    stripe = image_occlusion_stripe(x, severity, levels, rng)
    return torch.where(spread(rng.uniforms(1, _WHICH) < 0.5, x), block, stripe)


def image_occlusion_block(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Cover a rectangle, as a finger or a thing in front does."""
    side = (severity.double() * _COVER_SHARE).sqrt()
    place = rng.uniforms(2, _PLACE)
    rows = _covered(x.shape[2], side, place[:, 0])
    columns = _covered(x.shape[3], side, place[:, 1])
    return _cover(x, rows[:, None, :, None] & columns[:, None, None, :], levels, rng)


def image_occlusion_stripe(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Cover a band from border to border: a lid, a strand of hair, the rim of glasses."""
    share = severity.double() * _COVER_SHARE
    place = rng.uniforms(2, _PLACE)
    rows = _covered(x.shape[2], share, place[:, 0])[:, None, :, None]
    columns = _covered(x.shape[3], share, place[:, 0])[:, None, None, :]
    lying = spread(place[:, 1] < 0.5, x)
    return _cover(x, torch.where(lying, rows, columns), levels, rng)


def image_blur(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Blur, as out of focus."""
    largest = _BLUR_SHARE * min(x.shape[2:])
    return gaussian_blur(x, severity * largest, radius=max(1, math.ceil(3 * largest)))


def image_low_light(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Darken; what is left is read with noise, and of uint8 in few steps."""
    gain = spread(torch.exp2(-_STOPS * severity.double()).float(), x)
    size = spread(severity * _READ_NOISE_SHARE, x) * (levels.white - levels.black)
    return levels.black + (x - levels.black) * gain + size * rng.normals(x.shape)


def image_missing(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Lose the last rows, as of a transmission that broke off; at severity 1 all of them."""
    rows = torch.arange(x.shape[2], device=x.device)
    arrived = x.shape[2] - (severity.double() * x.shape[2]).round()
    lost = rows[None] >= arrived[:, None]
    return torch.where(lost[:, None, :, None], levels.black, x)


def _covered(length: int, share: Tensor, place: Tensor) -> Tensor:
    """Which of `length` places a share covers, [B, length]; a wider one covers these too."""
    size = (share * length).round()
    start = (place.double() * (length - size + 1)).floor()
    # Nested: a wider cover starts no later and ends no earlier than a narrower one.
    places = torch.arange(length, device=share.device)
    return (places >= start[:, None]) & (places < (start + size)[:, None])


def _cover(x: Tensor, covered: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    grey = spread(rng.uniforms(1, _GREY), x)
    return torch.where(covered, levels.black + grey * (levels.white - levels.black), x)


_NOISE_DEVIATIONS = 3.0


def feature_noise(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Add Gaussian noise in proportion to each feature's own spread."""
    return x + spread(severity * _NOISE_DEVIATIONS, x) * levels.std * rng.normals(x.shape)


def feature_missing(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Set single features to their training mean."""
    lost = rng.uniforms(x.shape[1], 0) < severity[:, None]
    return torch.where(lost, levels.mean, x)


def feature_block(x: Tensor, severity: Tensor, levels: Levels, rng: SampleRng) -> Tensor:
    """Set a block of neighbouring features to their training mean."""
    count = x.shape[1]
    first = (rng.uniforms(1, 0) * count).long()
    after = (torch.arange(count, device=x.device)[None] - first) % count
    lost = after < (severity.double() * count).round()[:, None]
    return torch.where(lost, levels.mean, x)


@dataclass(frozen=True)
class Degradation:
    """One kind: its function for each form of data that it falls on, and its physical meaning.

    `physical`: by form, what a severity s in [0, 1] means. Black and white are the ends of
    the stored range: 0 and 255 of uint8; of float data, two standard deviations of the training
    split below and above its mean, per channel. "The range" is white minus black.
    """

    functions: Mapping[Form, DegradeFunction]
    physical: Mapping[Form, str]


DEGRADATIONS: dict[str, Degradation] = {
    "noise": Degradation(
        {"images": image_noise, "features": feature_noise},
        {
            "images": "Gaussian noise, standard deviation 0.5 s of the range; cut at the ends of "
            "uint8",
            "features": "Gaussian noise, standard deviation 3 s of the feature's own in train",
        },
    ),
    "salt_pepper": Degradation(
        {"images": image_salt_pepper},
        {"images": "a share 0.5 s of the pixels is black or white, in all channels"},
    ),
    "occlusion": Degradation(
        {"images": image_occlusion},
        {"images": "occlusion_block or occlusion_stripe, equally often"},
    ),
    "occlusion_block": Degradation(
        {"images": image_occlusion_block},
        {
            "images": "a rectangle of the image's own proportions over a share 0.75 s of its "
            "area, anywhere within, of one grey level between black and white"
        },
    ),
    "occlusion_stripe": Degradation(
        {"images": image_occlusion_stripe},
        {
            "images": "a band over a share 0.75 s of the height, or of the width, from border to "
            "border, of one grey level between black and white"
        },
    ),
    "blur": Degradation(
        {"images": image_blur},
        {"images": "Gaussian blur, standard deviation 0.15 s of the shorter side"},
    ),
    "low_light": Degradation(
        {"images": image_low_light},
        {
            "images": "5 s stops less light (brightness above black times 2^(-5 s)) and read-out "
            "noise of standard deviation 0.02 s of the range"
        },
    ),
    "missing": Degradation(
        {"images": image_missing, "features": feature_missing},
        {
            "images": "the last share s of the rows never arrived and is black; at 1 all is",
            "features": "each feature is missing with chance s and holds its mean in train",
        },
    ),
    "block": Degradation(
        {"features": feature_block},
        {
            "features": "round(s F) neighbouring features, around the end too, hold their mean in "
            "train"
        },
    ),
}
"""By the name that schedules use."""


def degradation_table() -> str:
    """What severity s from 0 to 1 means, by kind, as a Markdown table."""
    rows = ["| kind | of images | of features |", "| --- | --- | --- |"]
    for kind, way in DEGRADATIONS.items():
        images, features = (way.physical.get(form, "-") for form in ("images", "features"))
        rows.append(f"| `{kind}` | {images} | {features} |")
    return "\n".join(rows)


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
    """Return the samples degraded by one kind of degradation.

    A sample's result depends on (kind, severity, seed, split, modality, its index, its draw) and
    on nothing else: not on its batch or any generator's state. Severity 0 returns it as it is; in
    the mean over samples, a larger severity moves it further from what it was.

    Args:
        x: Samples as stored, before normalisation, [B, C, H, W] or [B, F], uint8 or float.
        kind: A name in `DEGRADATIONS`, which says what its severity means.
        severity: In [0, 1], one for all or [B].
        seed: The schedule's seed.
        split: Name of the split that the samples are of.
        index: Each sample's own number, int64, [B] (`Split.index`).
        draw: Which draw of the sample, one for all or [B]; other draws are degraded differently.
        modality: Name of the modality; two of one sample are degraded independently.
        moments: Of the training split (`DataSet.moments`); uint8 images need none.

    Returns:
        Same shape, dtype and device; uint8 is rounded and cut to 0 .. 255.

    Raises:
        DataError: An unknown kind, one that does not fall on such samples, a severity outside
            [0, 1] or missing moments.
    """
    form = data_form(tuple(x.shape[1:]))
    function = _function(kind, form)
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
        rng = sample_rng(
            index[some], draws[some], seed=seed, split=split, use=f"{modality}/{kind}"
        )
        degraded = function(x[some].float(), severities[some], levels, rng)
        untouched = spread(severities[some] == 0, x)
        parts.append(torch.where(untouched, x[some], _as_stored(degraded, x.dtype)))
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


def _function(kind: str, form: Form) -> DegradeFunction:
    refuse_unfit(kind, form)
    return DEGRADATIONS[kind].functions[form]


def _for_each(value: Tensor | float, x: Tensor, dtype: torch.dtype) -> Tensor:
    """One value for each sample, [B], on the device of x."""
    return torch.as_tensor(value, device=x.device).to(dtype).expand(len(x))


def _as_stored(values: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.uint8:
        return values.round().clamp(0, 255).to(torch.uint8)
    return values.to(dtype)


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Return values [B] as [B, 1, ...], to broadcast over samples."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))
