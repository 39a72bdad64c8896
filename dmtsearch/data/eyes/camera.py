"""Photographs of synthetic eyes: the periocular image, and the iris unrolled to a strip."""

import math

import torch
from torch import Tensor

from ..blur import gaussian_blur
from ..sample_rng import mix, normal
from .scene import Eyes, iris_centre, pupil_radius, shade
from .traits import stream

_HALF_VIEW = 1.7
"""Half of what a periocular image shows, from its middle, in half openings of the eye."""
_MIDDLE_Y = -0.25


def periocular_images(
    eyes: Eyes, counters: Tensor, *, seed: int, size: int, noise: float
) -> Tensor:
    """Return square images of the eye and what is around it, uint8, [N, 1, size, size].

    Args:
        eyes: Whose, and how taken.
        counters: Each image's number, [N], for its noise.
        seed: The set's.
        size: Pixels.
        noise: Standard deviation of the camera's noise, brightness from 0 to 1.
    """
    steps = ((torch.arange(size) + 0.5) / size * 2 - 1) * _HALF_VIEW
    v, u = torch.meshgrid(steps + _MIDDLE_Y, steps, indexing="ij")
    x, y = _to_eye(eyes, u.reshape(1, -1), v.reshape(1, -1))
    bright = _light(eyes, x, y) * shade(eyes, x, y)
    images = bright.reshape(-1, 1, size, size)
    return _develop(
        images,
        0.35 * size / 48 * (1 + eyes["defocus"][:, 0].abs()),
        _grain(counters, images, stream(seed, "noise periocular")),
        noise,
    )


def iris_strips(
    eyes: Eyes, counters: Tensor, *, seed: int, shape: tuple[int, int], noise: float
) -> Tensor:
    """Return the iris between its two circles, unrolled, uint8, [N, 1, radii, angles].

    The circles are missed by a little, the strip starts at the camera's horizontal, and lids,
    lashes and glints cover what they cover: no mask is given.

    References:
        Daugman, "How Iris Recognition Works", IEEE TCSVT 14(1), 2004
        (doi 10.1109/TCSVT.2003.818350), eq. 4 to 6: the homogeneous rubber sheet model.
    """
    radii, angles = shape
    share = ((torch.arange(radii) + 0.5) / radii)[:, None].expand(shape).reshape(1, -1)
    angle = (torch.arange(angles) * (2 * math.pi / angles)).expand(shape).reshape(1, -1)
    pupil = pupil_radius(eyes) + eyes["slip_pupil"]
    radius = pupil + share * (eyes["iris_radius"] + eyes["slip_iris"] - pupil)
    at_x, at_y = iris_centre(eyes)
    turned = angle - eyes["roll"]
    x = at_x + eyes["slip_x"] + radius * torch.cos(turned)
    y = at_y + eyes["slip_y"] + radius * torch.sin(turned)
    bright = _light(eyes, x, y) * shade(eyes, x, y)
    strips = bright.reshape(-1, 1, radii, angles)
    return _develop(
        strips,
        0.3 + 0.6 * eyes["defocus"][:, 0].abs(),
        _grain(counters, strips, stream(seed, "noise iris")),
        noise,
    )


def _to_eye(eyes: Eyes, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """From the camera's plane to the eye's own coordinates: undo shift, roll and zoom."""
    du, dv = u - eyes["shift_x"], v - eyes["shift_y"]
    cos, sin = torch.cos(eyes["roll"]), torch.sin(eyes["roll"])
    zoom = 1 + eyes["zoom"]
    return (du * cos + dv * sin) / zoom, (dv * cos - du * sin) / zoom


def _light(eyes: Eyes, x: Tensor, y: Tensor) -> Tensor:
    slope = eyes["light_x"] * x + eyes["light_y"] * y
    return (1 + eyes["gain"]) * (1 + slope).clamp(0.3, 1.7)


def _grain(counters: Tensor, images: Tensor, base: int) -> Tensor:
    pixels = images[0].numel()
    own = mix(counters, base=base)[:, None]
    drawn = normal(torch.arange(-(-pixels // 4))[None], base=own).flatten(1)[:, :pixels]
    return drawn.reshape(images.shape)


def _develop(images: Tensor, sd: Tensor, grain: Tensor, noise: float) -> Tensor:
    sharp = gaussian_blur(images, sd, radius=3)
    return ((sharp + noise * grain).clamp(0, 1) * 255).round().to(torch.uint8)
