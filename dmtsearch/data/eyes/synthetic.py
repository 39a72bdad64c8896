"""Synthetic eyes: drawn, not photographed; two views of one identity.

No person's data is in it. It replaces iris sets that may not be passed on, where a selector
between two modalities is to be tried.

Difficulty of the defaults (40 identities, 60 images of each), fixed by single clean modalities
before any selector was trained on them: a plain CNN (widths 8, 16, 32, two convolutions a block),
10 epochs of AdamW, everything else as a schedule has it; accuracy on val (n = 360), mean and range
over 5 seeds, each with its own split:

    trained on                        iris                 periocular
    1,344 (a selector split drawn)    .925 (.911 to .956)  .922 (.914 to .931)
    1,680 (no selector split)         .959 (.944 to .969)  .963 (.958 to .967)
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import torch

from ...errors import DataError
from ...files import canonical_json, sha256_text
from ..facts import DataFacts
from ..known_dataset import KnownDataset
from ..pool import Pool, RawData
from .camera import iris_strips, periocular_images
from .scene import Eyes
from .texture import iris_maps, skin_maps
from .traits import identity_traits, image_counters, image_traits

VERSION = 1
"""Of the drawing; raised whenever the same arguments would give other pictures."""

_STRIP = (16, 64)
_SIZE = 48
_CHUNK = 64


@dataclass(frozen=True)
class EyeArgs:
    """`data.args` of `synthetic_eyes`."""

    identities: int = 40
    images: int = 60
    """Of each identity."""
    seed: int = 0
    spread: float = 1.0
    """How different identities are, iris patterns aside: 0 is one face for all, 1 as tuned."""
    nuisance: float = 1.0
    """How different an identity's images are: pose, gaze, dilation, light, missed circles."""
    iris_noise: float = 0.095
    """Standard deviation of the noise in the iris strip, brightness from 0 to 1."""
    periocular_noise: float = 0.04
    """Likewise of the periocular image."""


EYE_ARGS = tuple(field.name for field in fields(EyeArgs))


def describe_eyes(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts, which need no drawing."""
    given = eye_args(args)
    shapes = {"iris": (1, *_STRIP), "periocular": (1, size or _SIZE, size or _SIZE)}
    count = given.identities * given.images
    return DataFacts(
        "synthetic_eyes", shapes, given.identities, "uint8", count, None, None, True, ""
    )


def read_eyes(args: Mapping[str, Any], size: int | None) -> RawData:
    """Draw the eyes, or return those that this process drew before.

    `size` is the side of the periocular image in pixels; the strip keeps its shape.
    """
    return _drawn(eye_args(args), size or _SIZE)


def eye_args(args: Mapping[str, Any]) -> EyeArgs:
    """Return the arguments with defaults filled in.

    Raises:
        DataError: One is no number of its kind or out of its range.
    """
    for field in fields(EyeArgs):
        value = args.get(field.name, field.default)
        whole = isinstance(field.default, int)
        allowed = int if whole else int | float
        low = {"identities": 2, "images": 1}.get(field.name, 0)
        if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value < 1e6:
            kind = "a whole number" if whole else "a number"
            raise DataError(
                f"data.args.{field.name} is {value!r}; it must be {kind} from {low}, below 1e6"
            )
    return EyeArgs(**args)


@lru_cache(maxsize=2)
def _drawn(args: EyeArgs, size: int) -> RawData:
    identities = torch.arange(args.identities)
    owners = identities.repeat_interleave(args.images)
    numbers = torch.arange(args.images).repeat(args.identities)
    parts = [
        _photograph(args, chosen, size)
        for chosen in zip(torch.split(owners, _CHUNK), torch.split(numbers, _CHUNK), strict=True)
    ]
    x = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    names = tuple(f"eye {number}" for number in range(args.identities))
    # Sines differ in their last bit by machine, and so may a pixel: the identity of the set is
    # what it was drawn from.
    drawn_from = {"synthetic_eyes": VERSION, "size": size, **vars(args)}
    return RawData({"train": Pool(x, owners)}, names, sha256_text(canonical_json(drawn_from)))


def _photograph(
    args: EyeArgs, chosen: tuple[torch.Tensor, torch.Tensor], size: int
) -> dict[str, torch.Tensor]:
    owners, numbers = chosen
    own, place = torch.unique(owners, return_inverse=True)
    traits = identity_traits(args.seed, own, spread=args.spread)
    traits = {name: values[place] for name, values in traits.items()}
    traits |= image_traits(args.seed, owners, numbers, nuisance=args.nuisance)
    eyes = Eyes(
        place[:, None],
        {name: values[:, None] for name, values in traits.items()},
        iris_maps(args.seed, own),
        skin_maps(args.seed, own),
    )
    counters = image_counters(owners, numbers)
    return {
        "iris": iris_strips(eyes, counters, seed=args.seed, shape=_STRIP, noise=args.iris_noise),
        "periocular": periocular_images(
            eyes, counters, seed=args.seed, size=size, noise=args.periocular_noise
        ),
    }


DATASETS = {"synthetic_eyes": KnownDataset(describe_eyes, read_eyes, EYE_ARGS)}
