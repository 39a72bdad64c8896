"""What is drawn at random for synthetic eyes: who an eye is, and how it was photographed.

Lengths are in units of half the eye's opening (corner to corner: 2), brightness in [0, 1] as a
near-infrared camera has it, angles in radians. Each trait has a stream of its own, numbered by
identity or by (identity, image): further identities, images or traits change no other.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ...files import sha256_text
from ..sample_rng import mix, uniform

Traits = Mapping[str, Tensor]
"""float32, [N] each, or [N, 1] to broadcast over points."""

IDENTITY = {
    "tone": (0.5, 0.66),
    "socket": (0.1, 0.35),
    "tilt": (-0.1, 0.16),
    "top": (0.44, 0.58),
    "top_power": (1.7, 2.8),
    "skew": (-0.16, 0.2),
    "low": (0.24, 0.36),
    "low_power": (1.7, 2.8),
    "crease_gap": (0.1, 0.3),
    "crease_dark": (0.05, 0.4),
    "bag_gap": (0.14, 0.34),
    "bag_dark": (0.0, 0.22),
    "brow_y": (0.95, 1.35),
    "brow_slope": (-0.16, 0.16),
    "brow_curve": (0.02, 0.26),
    "brow_thick": (0.09, 0.21),
    "brow_start": (0.9, 1.25),
    "brow_end": (1.1, 1.5),
    "brow_dark": (0.35, 0.75),
    "brow_hairs": (26.0, 40.0),
    "lash_length": (0.1, 0.26),
    "lash_dark": (0.35, 0.8),
    "lash_count": (15.0, 24.0),
    "lash_phase": (0.0, 2 * math.pi),
    "sclera": (0.72, 0.84),
    "iris_radius": (0.4, 0.45),
    "iris_tone": (0.36, 0.52),
    "mole_x": (-1.6, 1.6),
    "mole_y": (0.6, 1.4),
    "mole_dark": (-0.5, 0.6),
    "mole_size": (0.04, 0.09),
}
"""Range of each trait that an identity has, drawn evenly."""

IMAGE = {
    "roll": (-0.13, 0.13),
    "zoom": (-0.1, 0.1),
    "shift_x": (-0.18, 0.18),
    "shift_y": (-0.18, 0.18),
    "gaze_x": (-0.2, 0.2),
    "gaze_y": (-0.09, 0.09),
    "dilation": (-0.13, 0.13),
    "lids": (-0.24, 0.12),
    "torsion": (-0.07, 0.07),
    "light_x": (-0.22, 0.22),
    "light_y": (-0.16, 0.16),
    "gain": (-0.22, 0.22),
    "brow_raise": (-0.1, 0.1),
    "glint_x": (-0.14, 0.14),
    "glint_y": (-0.16, 0.02),
    "slip_x": (-0.035, 0.035),
    "slip_y": (-0.035, 0.035),
    "slip_pupil": (-0.03, 0.03),
    "slip_iris": (-0.04, 0.04),
    "defocus": (0.0, 1.0),
}
"""Range of what differs between two photographs of one eye, drawn evenly; 0 is the plain view.

`slip`: by how much the circles, found for unwrapping, miss the iris.
"""

_APART = 1_000_000
"""Images that an identity can have before its numbers meet the next one's."""


def stream(seed: int, use: str) -> int:
    """Return the base of a stream of random numbers of the eyes."""
    return int(sha256_text(f"eyes/{seed}/{use}")[:15], 16)


def draw(seed: int, use: str, counters: Tensor, low: float, high: float) -> Tensor:
    """Return float32 numbers, even on [low, high), one for each counter."""
    return low + (high - low) * uniform(mix(counters, base=stream(seed, use)))


def identity_traits(seed: int, identities: Tensor, *, spread: float) -> dict[str, Tensor]:
    """Return each identity's traits, [K]; `spread` scales how far they lie from the middle."""
    traits = {}
    for name, (low, high) in IDENTITY.items():
        middle, half = (low + high) / 2, spread * (high - low) / 2
        traits[name] = draw(seed, f"trait {name}", identities, middle - half, middle + half)
    side = draw(seed, "trait side", identities, -1, 1)
    traits["side"] = torch.where(side < 0, -1.0, 1.0)
    return traits


def image_traits(
    seed: int, identities: Tensor, numbers: Tensor, *, nuisance: float
) -> dict[str, Tensor]:
    """Return how each image was taken, [N]; `nuisance` scales how far from the plain view."""
    counters = image_counters(identities, numbers)
    return {
        name: nuisance * draw(seed, f"image {name}", counters, low, high)
        for name, (low, high) in IMAGE.items()
    }


def image_counters(identities: Tensor, numbers: Tensor) -> Tensor:
    """Return one number for each image, int64, [N], from its identity and its number within."""
    return identities * _APART + numbers
