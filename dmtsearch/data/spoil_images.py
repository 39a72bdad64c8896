"""Degradations of images: pure functions of (values, severity, levels, chance).

Values are float32 [B, C, H, W] in the stored unit; severity [B] in [0, 1]. What each severity
means stands in `DEGRADATIONS`. Where a degradation covers pixels, those of a smaller severity
are among those of a larger one.
"""

import math

import torch
from torch import Tensor

from .blur import gaussian_blur
from .spoiling import Chance, Levels, spread

_NOISE_SHARE = 0.5
_PEPPER_SHARE = 0.5
_COVER_SHARE = 0.75
_BLUR_SHARE = 0.15
_STOPS = 5.0
_READ_NOISE_SHARE = 0.02

_PLACE, _FLIP, _GREY, _WHICH = range(4)
"""Uses of chance within a degradation."""


def noise(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Add Gaussian noise, as of a sensor at high gain."""
    size = spread(severity * _NOISE_SHARE, x) * (levels.white - levels.black)
    return x + size * chance.normals(x.shape)


def salt_pepper(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Turn pixels black or white, as dead and stuck ones are."""
    height, width = x.shape[2:]
    shape = (-1, 1, height, width)
    place = chance.uniforms(height * width, _PLACE).reshape(shape)
    white = chance.uniforms(height * width, _FLIP).reshape(shape) < 0.5
    hit = place < spread(severity * _PEPPER_SHARE, x)
    return torch.where(hit, torch.where(white, levels.white, levels.black), x)


def occlusion(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Cover a block or a stripe, drawn for each sample."""
    block = occlusion_block(x, severity, levels, chance)
    stripe = occlusion_stripe(x, severity, levels, chance)
    return torch.where(spread(chance.uniforms(1, _WHICH) < 0.5, x), block, stripe)


def occlusion_block(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Cover a rectangle, as a finger or a thing in front does."""
    side = (severity.double() * _COVER_SHARE).sqrt()
    place = chance.uniforms(2, _PLACE)
    rows = _covered(x.shape[2], side, place[:, 0])
    columns = _covered(x.shape[3], side, place[:, 1])
    return _cover(x, rows[:, None, :, None] & columns[:, None, None, :], levels, chance)


def occlusion_stripe(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Cover a band from border to border: a lid, a strand of hair, the rim of glasses."""
    share = severity.double() * _COVER_SHARE
    place = chance.uniforms(2, _PLACE)
    rows = _covered(x.shape[2], share, place[:, 0])[:, None, :, None]
    columns = _covered(x.shape[3], share, place[:, 0])[:, None, None, :]
    lying = spread(place[:, 1] < 0.5, x)
    return _cover(x, torch.where(lying, rows, columns), levels, chance)


def blur(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Blur, as out of focus."""
    largest = _BLUR_SHARE * min(x.shape[2:])
    return gaussian_blur(x, severity * largest, radius=max(1, math.ceil(3 * largest)))


def low_light(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Darken; what is left is read with noise, and of uint8 in few steps."""
    gain = spread(torch.exp2(-_STOPS * severity.double()).float(), x)
    size = spread(severity * _READ_NOISE_SHARE, x) * (levels.white - levels.black)
    return levels.black + (x - levels.black) * gain + size * chance.normals(x.shape)


def missing(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
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


def _cover(x: Tensor, covered: Tensor, levels: Levels, chance: Chance) -> Tensor:
    grey = spread(chance.uniforms(1, _GREY), x)
    return torch.where(covered, levels.black + grey * (levels.white - levels.black), x)
