"""How bright a point of an eye's surroundings is: skin, brow, lids, lashes, eyeball, iris.

All functions take points in the eye's own coordinates: x to the right, y down, the origin in the
middle of the opening, its corners at x = -1 and 1. Points are [N, P], traits [N, 1].
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .texture import ANGLES, RADII, look_up
from .traits import Traits

PUPIL = 0.4
"""Radius of the pupil in the plain view, as a share of the iris's."""


@dataclass(frozen=True)
class Eyes:
    """N photographs to be taken: whose (`owner`, [N, 1]), how, and the maps of all identities."""

    owner: Tensor
    traits: Traits
    iris: Tensor
    skin: Tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.traits[name]


def shade(eyes: Eyes, x: Tensor, y: Tensor) -> Tensor:
    """Return the brightness of each point under even light, about 0 to 1, float32, [N, P]."""
    level = y - eyes["tilt"] * eyes["side"] * -x
    top, low = upper_lid(eyes, x), lower_lid(eyes, x)
    near = _edge(1.12 - x.abs(), 0.06)
    face = _skin(eyes, x, y) * _folds(eyes, x, level, top, low)
    face = face * _brow(eyes, x, y)
    inside = _edge(level - top, 0.02) * _edge(low - level, 0.02) * _edge(1 - x.abs(), 0.03)
    seen = face + (_eyeball(eyes, x, y, level - top) - face) * inside
    rim = 1 + 0.16 * _bump(level - low, 0.03) * near - 0.62 * _bump(level - top, 0.035) * near
    return seen * rim * _lashes(eyes, x, level, top, low)


def iris_centre(eyes: Eyes) -> tuple[Tensor, Tensor]:
    """Return where the iris is: x and y, [N, 1] each."""
    return eyes["gaze_x"], eyes["gaze_y"] - 0.06


def pupil_radius(eyes: Eyes) -> Tensor:
    """Return the pupil's radius, [N, 1]."""
    return eyes["iris_radius"] * (PUPIL + eyes["dilation"])


def upper_lid(eyes: Eyes, x: Tensor) -> Tensor:
    """Return the height of the upper lid's edge above the line through the corners (negative)."""
    bent = (x + eyes["skew"] * eyes["side"] * (1 - x.square())).clamp(-1, 1)
    arch = 1 - (bent.abs() + 1e-6) ** eyes["top_power"]
    return -eyes["top"] * (1 + eyes["lids"]) * arch


def lower_lid(eyes: Eyes, x: Tensor) -> Tensor:
    """Return the depth of the lower lid's edge below the line through the corners."""
    arch = 1 - (x.abs().clamp(max=1) + 1e-6) ** eyes["low_power"]
    return eyes["low"] * (1 + 0.3 * eyes["lids"]) * arch


def _bump(distance: Tensor, width: Tensor | float) -> Tensor:
    return torch.exp(-0.5 * (distance / width).square())


def _edge(inward: Tensor, softness: float) -> Tensor:
    """0 outside, 1 inside, with a soft border."""
    return torch.sigmoid(inward / softness)


def _skin(eyes: Eyes, x: Tensor, y: Tensor) -> Tensor:
    uneven = look_up(eyes.skin, eyes.owner, (y + 2.4) * 4.4, (x + 2.4) * 4.4)
    nose = x - 1.25 * eyes["side"]
    socket = eyes["socket"] * _bump(nose, 0.5) * _bump(y + 0.5, 0.55)
    cheek = 0.1 * _edge(y - 0.7, 0.25)
    spot = _bump(x - eyes["mole_x"], eyes["mole_size"]) * _bump(
        y - eyes["mole_y"], eyes["mole_size"]
    )
    return (
        eyes["tone"]
        * (1 + 0.07 * uneven - socket + cheek)
        * (1 - eyes["mole_dark"].clamp(min=0) * spot)
    )


def _folds(eyes: Eyes, x: Tensor, level: Tensor, top: Tensor, low: Tensor) -> Tensor:
    """Light and shadow of the lids: the bulge over the eyeball, the crease, the bag below."""
    window = _bump(x, 0.75)
    bulge = 0.14 * _bump(level - top + 0.14, 0.13) * window
    crease_at = 0.85 * top - eyes["crease_gap"] * (1 - 0.35 * x.square())
    crease = eyes["crease_dark"] * _bump(level - crease_at, 0.045) * window
    bag = eyes["bag_dark"] * _bump(level - low - eyes["bag_gap"], 0.07) * window
    return 1 + bulge - crease - bag


def _brow(eyes: Eyes, x: Tensor, y: Tensor) -> Tensor:
    inward = eyes["side"] * x
    middle = (-eyes["brow_y"] - eyes["brow_raise"] - eyes["brow_slope"] * inward) + eyes[
        "brow_curve"
    ] * (inward + 0.2).square()
    thick = eyes["brow_thick"] * (0.75 + 0.3 * inward).clamp(0.25, 1.1)
    along = _edge(eyes["brow_start"] - inward, 0.07) * _edge(inward + eyes["brow_end"], 0.1)
    body = _edge(thick - (y - middle).abs(), 0.035) * along
    hairs = 0.5 + 0.5 * torch.sin(eyes["brow_hairs"] * (x + 1.3 * eyes["side"] * (y - middle)))
    return 1 - eyes["brow_dark"] * body * (0.7 + 0.3 * hairs)


def _eyeball(eyes: Eyes, x: Tensor, y: Tensor, below_lid: Tensor) -> Tensor:
    white = eyes["sclera"] * (1 - 0.28 * x.square())
    inner = _bump(x - 0.95 * eyes["side"], 0.11)
    white = white + (0.5 - white) * 0.7 * inner
    shadow = 1 - 0.4 * _bump(below_lid, 0.13)
    return _iris(eyes, x, y, white) * shadow + _glints(eyes, x, y)


def _iris(eyes: Eyes, x: Tensor, y: Tensor, white: Tensor) -> Tensor:
    at_x, at_y = iris_centre(eyes)
    dx, dy = x - at_x, y - at_y
    radius = (dx.square() + dy.square() + 1e-8).sqrt()
    angle = torch.atan2(dy, dx) - eyes["torsion"]
    pupil = pupil_radius(eyes)
    rho = (radius - pupil) / (eyes["iris_radius"] - pupil)
    pattern = look_up(eyes.iris, eyes.owner, rho * (RADII - 1), angle * (ANGLES / (2 * math.pi)))
    stroma = (eyes["iris_tone"] * (1 + pattern)).clamp(0.08, 0.95)
    stroma = stroma * (1 - 0.45 * _edge(rho - 0.93, 0.05))
    disc = white + (stroma - white) * _edge(eyes["iris_radius"] - radius, 0.014)
    return disc + (0.05 - disc) * _edge(pupil - radius, 0.012)


def _glints(eyes: Eyes, x: Tensor, y: Tensor) -> Tensor:
    """The camera's lamps, mirrored by the cornea."""
    at_x, at_y = iris_centre(eyes)
    dx, dy = x - at_x - eyes["glint_x"], y - at_y - eyes["glint_y"]
    return 0.8 * (_bump(dx - 0.05, 0.028) + _bump(dx + 0.05, 0.028)) * _bump(dy, 0.028)


def _lashes(eyes: Eyes, x: Tensor, level: Tensor, top: Tensor, low: Tensor) -> Tensor:
    upper = _row_of_lashes(eyes, x, top - level, 1.0)
    lower = _row_of_lashes(eyes, x, level - low, 0.45)
    return (1 - upper) * (1 - 0.6 * lower)


def _row_of_lashes(eyes: Eyes, x: Tensor, out: Tensor, share: float) -> Tensor:
    """Hairs that stand on a lid's edge and fan out; `out` is the distance from the edge."""
    length = share * eyes["lash_length"] * (1 - 0.3 * eyes["side"] * x)
    foot = x / (1 + 0.55 * out.clamp(min=0))
    wave = torch.cos(
        eyes["lash_count"] * 2.2 * (foot + 0.02 * torch.sin(17 * foot + eyes["lash_phase"]))
        + eyes["lash_phase"]
    )
    hair = _edge(wave - 0.1 - 0.8 * (out / length).clamp(0, 2), 0.22)
    reach = _edge(out + 0.03, 0.015) * _edge(length - out, 0.03) * _edge(1.04 - x.abs(), 0.03)
    return eyes["lash_dark"] * hair * reach
