"""What every degradation works with: its chance, and the levels of the data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..chance import derive_seed
from ..files import sha256_text
from .mixing import mix, normal, uniform
from .moments import Moments


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


@dataclass(frozen=True)
class Chance:
    """The random numbers of a batch's samples, each from (seed, split, sample, draw) alone.

    `bits`: int64, [B], mixed: the start of each sample's own stream. A sample's numbers depend
    on nothing else: not its batch, its severity or the device.
    """

    bits: Tensor

    def uniforms(self, count: int, use: int) -> Tensor:
        """Return float32 in [0, 1), [B, count]; another `use` gives others."""
        own = mix(torch.full_like(self.bits, use), base=self.bits)[:, None]
        return uniform(mix(torch.arange(count, device=own.device)[None], base=own))

    def normals(self, shape: torch.Size) -> Tensor:
        """Return standard normal numbers, float32, of the samples' shape [B, ...]."""
        count = shape[1:].numel()
        counters = torch.arange(-(-count // 4), device=self.bits.device)[None]
        drawn = normal(counters, base=self.bits[:, None]).flatten(1)[:, :count]
        return drawn.reshape(shape)


def sample_chance(index: Tensor, draw: Tensor, *, seed: int, split: str, use: str) -> Chance:
    """Return the chance of samples `index` [B] in their draws `draw` [B], for one use."""
    text = f"{derive_seed(seed, 'degrade')}/{split}/{use}"
    base = int(sha256_text(text)[:15], 16)
    return Chance(mix(draw, base=mix(index, base=base)))


def spread(values: Tensor, like: Tensor) -> Tensor:
    """Return values [B] as [B, 1, ...], to broadcast over samples."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))
