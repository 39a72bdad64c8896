"""Batches by index: order, augmentation and normalisation, each a pure function."""

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import DataError
from ..seeding import derive_seed
from .sample_rng import mix, pick


def epoch_order(n: int, *, seed: int, epoch: int, phase: int = 0) -> Tensor:
    """Return the order in which an epoch visits the samples: a permutation, int64, [n], CPU.

    Args:
        n: Number of samples.
        seed: The schedule's seed.
        epoch: Epoch within its phase, from 0.
        phase: Which phase of the stage; the phases of a stage have orders of their own.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch, phase))
    return torch.randperm(n, generator=generator)


def default_pad(height: int, width: int) -> int:
    """Return the padding of `crop_flip` in pixels: an eighth of the shorter side (4 for 32)."""
    return max(1, min(height, width) // 8)


def crop_flip(
    x: Tensor, *, seed: int, epoch: int, index: Tensor, pad: int | None = None
) -> Tensor:
    """Shift each image by up to `pad` pixels and mirror every second one, left to right.

    A sample's result depends on (seed, epoch, its index) and on nothing else: not on its batch,
    the device or any generator's state. So a source's outputs can be kept and met again.

    Args:
        x: Images as stored, before normalisation, [B, C, H, W], uint8 or float. What moves in
            from outside is 0 in the stored unit: black for uint8.
        seed: The schedule's seed.
        epoch: Epoch within its phase, from 0.
        index: Each sample's own number, int64, [B], on the device of `x` (`Split.index`).
        pad: Pixels; `default_pad` of the image if None.

    Returns:
        Same shape, dtype and device. Offsets are uniform on -pad .. pad, each way.

    Raises:
        DataError: The samples are no images.
    """
    if x.ndim != 4:
        raise DataError(
            f"data.augment crop_flip needs images [B, C, H, W]; these samples are "
            f"{tuple(x.shape[1:])}; set augment: none"
        )
    height, width = x.shape[2:]
    pad = default_pad(height, width) if pad is None else pad
    bits = mix(index, base=derive_seed(seed, "augment", epoch))
    down, right = (pick(bits, skip=skip, count=2 * pad + 1) for skip in (0, 16))
    # All windows as views of the padded images; the look-up copies one for each sample.
    windows = functional.pad(x, (pad, pad, pad, pad)).unfold(2, height, 1).unfold(3, width, 1)
    cropped = windows[torch.arange(len(x), device=x.device), :, down, right]
    mirrored = pick(bits, skip=32, count=2).bool()[:, None, None, None]
    return torch.where(mirrored, cropped.flip(3), cropped)


def normalise(x: Tensor, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return (x - mean) / std per channel; uint8 is divided by 255 first.

    Args:
        x: [B, C, ...], uint8 or float.
        mean: [C], in the unit of the divided values (`Moments`), on the device of `x`.
        std: [C], of each channel too.
        dtype: Of the result; the arithmetic is float32.
    """
    unit = unit_of(x.dtype)
    return rescale(x, mean * unit, std * unit).to(dtype)


def unit_of(dtype: torch.dtype) -> float:
    """What stored values of a type are divided by."""
    return 255.0 if dtype == torch.uint8 else 1.0


def rescale(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (x - mean) / std per channel as float32; `mean` and `std` in the unit of `x`."""
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    return (x.float() - mean.reshape(shape)) / std.reshape(shape)
