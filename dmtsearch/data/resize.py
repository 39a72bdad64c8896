"""Images of one size: the shorter side resized, the middle cut out."""

import torch
from torch import Tensor

from ..errors import DataError
from ..machine import physical_memory
from .pool import Pool, RawData

MAX_SIZE = 16_384
_CHUNK = 1024
"""Images resized at once; bounds the memory beside the result."""


def resize_images(images: Tensor, size: int) -> Tensor:
    """Return the images with the shorter side `size`, cut to the middle `size` x `size`.

    Bilinear with antialiasing, as torchvision does it on tensors; images that have the size
    already are returned as they are.

    Args:
        images: [N, C, H, W], uint8 or float.
        size: Pixels, at least 1.
    """
    if images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms.v2 import functional

    def fit(chunk: Tensor) -> Tensor:
        resized = functional.resize(chunk, [size], antialias=True)
        cut: Tensor = functional.center_crop(resized, [size, size])
        return cut

    return torch.cat([fit(chunk) for chunk in torch.split(images, _CHUNK)])


def resize_raw(raw: RawData, size: int | None) -> RawData:
    """Return `raw` with every image of every modality resized, or itself where size is None."""
    if size is None:
        return raw
    pools = {
        split: Pool({name: _resized(name, x, size) for name, x in pool.x.items()}, pool.y)
        for split, pool in raw.pools.items()
    }
    return RawData(pools, raw.classes, raw.content)


def _resized(modality: str, values: Tensor, size: int) -> Tensor:
    if values.ndim != 4:
        of = f"modality {modality!r}" if modality else "the data"
        raise DataError(
            f"data.size is {size}, but {of} holds {values.shape[1]} features a sample, not "
            "images; leave data.size out"
        )
    refuse_too_much(len(values), values.shape[1], size, values.element_size())
    return resize_images(values, size)


def refuse_too_much(num: int, channels: int, size: int, item_bytes: int) -> None:
    """Refuse a `data.size` with which the images take more memory than this machine has.

    Args:
        num: Images.
        channels: Of each.
        size: Pixels a side.
        item_bytes: Bytes of a value.

    Raises:
        DataError: They do; names both amounts.
    """
    needed, there = num * channels * size * size * item_bytes, physical_memory()
    if there is not None and needed > there:
        raise DataError(
            f"data.size is {size}: {num:,} images of {size}x{size} take {needed / 1e9:,.0f} GB, "
            f"and this machine has {there / 1e9:,.0f} GB of memory; give a smaller size"
        )


def refuse_size(size: object) -> None:
    """Raise `DataError` unless `size` is None or a whole number of pixels, 1 to 16,384."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise DataError(f"data.size is {size!r}; it must be a whole number of pixels, at least 1")
    if size is not None and size > MAX_SIZE:
        raise DataError(f"data.size is {str(size)[:20]}; at most {MAX_SIZE:,} pixels a side")


def resized_shape(shape: tuple[int, ...], size: int | None) -> tuple[int, ...]:
    """Return the shape of a sample after `data.size`."""
    return shape if size is None or len(shape) != 3 else (shape[0], size, size)
