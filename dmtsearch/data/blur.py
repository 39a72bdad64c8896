"""Gaussian blur with a width of its own for each image."""

import torch
from torch import Tensor


def gaussian_blur(images: Tensor, sd: Tensor, *, radius: int) -> Tensor:
    """Return the images blurred; borders are repeated outwards.

    Summed tap by tap, not by a convolution: an image's result must not depend, in its last bit,
    on the batch that it came in.

    Args:
        images: float32, [B, C, H, W].
        sd: Standard deviation in pixels, [B], at least 0; 0 leaves an image as it is.
        radius: How far the kernel reaches, in pixels; at least 3 of the largest sd cuts nothing
            visible off.
    """
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    width = sd.double().clamp(min=1e-6)[:, None]
    weights = torch.exp(-0.5 * (offsets / width).square())
    weights = (weights / weights.sum(dim=1, keepdim=True)).float()[:, :, None, None, None]
    for axis in (2, 3):
        places = torch.arange(images.shape[axis], device=images.device)
        total = torch.zeros_like(images)
        for tap, offset in enumerate(range(-radius, radius + 1)):
            moved = images.index_select(axis, (places + offset).clamp(0, len(places) - 1))
            total = total + weights[:, tap] * moved
        images = total
    return images
