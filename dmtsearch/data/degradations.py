"""The ways to spoil a modality: which there are, what each falls on, what its severity means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from . import spoil_features, spoil_images
from .spoiling import Chance, Levels

Form = Literal["images", "features"]
"""`images`: samples [C, H, W]. `features`: samples [F]."""

Spoil = Callable[[Tensor, Tensor, Levels, Chance], Tensor]
"""(values float32 [B, ...], severity [B], levels, chance) to the spoilt values, float32."""


@dataclass(frozen=True)
class Degradation:
    """One kind: its function for each form of data that it falls on, and its physical meaning.

    `physical`: by form, what a severity s in [0, 1] stands for. Black and white are the ends of
    the stored range: 0 and 255 of uint8; of float data, two standard deviations of the training
    split below and above its mean, per channel. "The range" is white minus black.
    """

    functions: Mapping[Form, Spoil]
    physical: Mapping[Form, str]


DEGRADATIONS: dict[str, Degradation] = {
    "noise": Degradation(
        {"images": spoil_images.noise, "features": spoil_features.noise},
        {
            "images": "Gaussian noise, standard deviation 0.5 s of the range; cut at the ends of "
            "uint8",
            "features": "Gaussian noise, standard deviation 3 s of the feature's own in train",
        },
    ),
    "salt_pepper": Degradation(
        {"images": spoil_images.salt_pepper},
        {"images": "a share 0.5 s of the pixels is black or white, in all channels"},
    ),
    "occlusion": Degradation(
        {"images": spoil_images.occlusion},
        {"images": "occlusion_block or occlusion_stripe, equally often"},
    ),
    "occlusion_block": Degradation(
        {"images": spoil_images.occlusion_block},
        {
            "images": "a rectangle of the image's own proportions over a share 0.75 s of its "
            "area, anywhere within, of one grey level between black and white"
        },
    ),
    "occlusion_stripe": Degradation(
        {"images": spoil_images.occlusion_stripe},
        {
            "images": "a band over a share 0.75 s of the height, or of the width, from border to "
            "border, of one grey level between black and white"
        },
    ),
    "blur": Degradation(
        {"images": spoil_images.blur},
        {"images": "Gaussian blur, standard deviation 0.15 s of the shorter side"},
    ),
    "low_light": Degradation(
        {"images": spoil_images.low_light},
        {
            "images": "5 s stops less light (brightness above black times 2^(-5 s)) and read-out "
            "noise of standard deviation 0.02 s of the range"
        },
    ),
    "missing": Degradation(
        {"images": spoil_images.missing, "features": spoil_features.missing},
        {
            "images": "the last share s of the rows never arrived and is black; at 1 all is",
            "features": "each feature is missing with chance s and holds its mean in train",
        },
    ),
    "block": Degradation(
        {"features": spoil_features.block},
        {
            "features": "round(s F) neighbouring features, around the end too, hold their mean in "
            "train"
        },
    ),
}
"""By the name that schedules use."""


def degradation_table() -> str:
    """What severity s from 0 to 1 stands for, by kind, as a Markdown table."""
    rows = ["| kind | of images | of features |", "| --- | --- | --- |"]
    for kind, way in DEGRADATIONS.items():
        images, features = (way.physical.get(form, "-") for form in ("images", "features"))
        rows.append(f"| `{kind}` | {images} | {features} |")
    return "\n".join(rows)
