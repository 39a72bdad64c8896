"""The pattern of an iris and the unevenness of skin, as maps that an identity always has."""

import math

import torch
from torch import Tensor

from .traits import draw

RADII = 32
ANGLES = 256
_SKIN = 24

_FIBRES = 30
_CRYPTS = 14
_FURROWS = 5


def iris_maps(seed: int, identities: Tensor) -> Tensor:
    """Return the iris of each identity, unrolled: brightness around 0, float32, [K, R, A].

    Rows lead from the pupil to the sclera, columns once around. It has what a near-infrared
    picture shows: fibres that run outwards, the zigzag collarette between the inner and the outer
    zone, crypts (dark lenses where the upper layer is missing) and contraction furrows (dark
    arcs).
    """
    rho = torch.linspace(0, 1, RADII)[None, :, None]
    theta = (torch.arange(ANGLES) * (2 * math.pi / ANGLES))[None, None, :]
    collar = _collarette(seed, identities, theta)
    ridge = 0.3 * _bump(rho - collar, 0.05)
    inner = 0.16 * torch.sigmoid((collar - rho) / 0.03)
    return (
        _fibres(seed, identities, rho, theta)
        + ridge
        + inner
        - _crypts(seed, identities, rho, theta)
        - _furrows(seed, identities, rho, theta)
    )


def skin_maps(seed: int, identities: Tensor) -> Tensor:
    """Return the unevenness of each identity's skin, about -1 to 1, float32, [K, S, S]."""
    cells = torch.arange(_SKIN * _SKIN) + identities[:, None] * (_SKIN * _SKIN)
    return draw(seed, "skin", cells, -1, 1).reshape(-1, _SKIN, _SKIN)


def look_up(maps: Tensor, owner: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return the maps' values between their cells, bilinearly.

    Args:
        maps: [K, R, A]; columns go around, rows end at their borders.
        owner: Which map, int64, [N, 1].
        row: Place in rows, [N, P]; outside 0 .. R - 1 the border's value.
        column: Place in columns, [N, P], any number.
    """
    rows, columns = maps.shape[1:]
    row = row.clamp(0, rows - 1)
    top, left = row.floor(), column.floor()
    down, right = row - top, column - left
    first = owner * (rows * columns) + top.long() * columns
    below = torch.where(top < rows - 1, columns, 0)
    start = left.long() % columns
    beside = (start + 1) % columns
    flat = maps.flatten()
    upper = flat[first + start] * (1 - right) + flat[first + beside] * right
    lower = flat[first + below + start] * (1 - right) + flat[first + below + beside] * right
    return upper * (1 - down) + lower * down


def _several(
    seed: int, use: str, identities: Tensor, count: int, low: float, high: float
) -> Tensor:
    counters = identities[:, None] * count + torch.arange(count)
    return draw(seed, use, counters, low, high)[:, :, None, None]


def _bump(distance: Tensor, width: Tensor | float) -> Tensor:
    return torch.exp(-0.5 * (distance / width).square())


def _around(angle: Tensor) -> Tensor:
    """The angle, from -pi to pi."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _fibres(seed: int, identities: Tensor, rho: Tensor, theta: Tensor) -> Tensor:
    total = torch.zeros(len(identities), RADII, ANGLES)
    phase = _several(seed, "fibre phase", identities, _FIBRES, 0, 2 * math.pi)
    size = _several(seed, "fibre size", identities, _FIBRES, 0.2, 1.0)
    bend = _several(seed, "fibre bend", identities, _FIBRES, -2.5, 2.5)
    for k in range(_FIBRES):
        wave = torch.cos((5 + 3 * k // 2) * theta + phase[:, k] + bend[:, k] * rho)
        total += size[:, k] * wave
    return total * (0.035 * (0.6 + 0.6 * rho))


def _collarette(seed: int, identities: Tensor, theta: Tensor) -> Tensor:
    radius = _several(seed, "collar radius", identities, 1, 0.24, 0.4)[:, 0]
    for k, size in ((2, 0.02), (5, 0.02), (11, 0.025), (17, 0.02)):
        phase = _several(seed, f"collar phase {k}", identities, 1, 0, 2 * math.pi)[:, 0]
        radius = radius + size * torch.cos(k * theta + phase)
    return radius


def _crypts(seed: int, identities: Tensor, rho: Tensor, theta: Tensor) -> Tensor:
    total = torch.zeros(len(identities), RADII, ANGLES)
    place = _several(seed, "crypt radius", identities, _CRYPTS, 0.2, 0.75)
    angle = _several(seed, "crypt angle", identities, _CRYPTS, 0, 2 * math.pi)
    long = _several(seed, "crypt length", identities, _CRYPTS, 0.06, 0.17)
    wide = _several(seed, "crypt width", identities, _CRYPTS, 0.06, 0.2)
    deep = _several(seed, "crypt depth", identities, _CRYPTS, 0.25, 0.6)
    for k in range(_CRYPTS):
        # A lens: the sum of distances, not of squares, gives it its points.
        across = _around(theta - angle[:, k]).abs() / wide[:, k]
        away = (rho - place[:, k]).abs() / long[:, k] + across
        total += deep[:, k] * torch.sigmoid((1.5 - away) * 3)
    return total


def _furrows(seed: int, identities: Tensor, rho: Tensor, theta: Tensor) -> Tensor:
    total = torch.zeros(len(identities), RADII, ANGLES)
    place = _several(seed, "furrow radius", identities, _FURROWS, 0.55, 0.95)
    angle = _several(seed, "furrow angle", identities, _FURROWS, 0, 2 * math.pi)
    long = _several(seed, "furrow length", identities, _FURROWS, 0.25, 0.9)
    deep = _several(seed, "furrow depth", identities, _FURROWS, 0.15, 0.35)
    for k in range(_FURROWS):
        arc = torch.sigmoid((long[:, k] - _around(theta - angle[:, k]).abs()) * 8)
        total += deep[:, k] * arc * _bump(rho - place[:, k], 0.025)
    return total
