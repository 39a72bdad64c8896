"""Mean and standard deviation per channel, by which inputs are normalised."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DataError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Numbers = tuple[float, ...] | list[float] | float | str | None
"""Per channel, one for all, `imagenet`, or None: from train."""

_CHUNK = 4096


class Moments(NamedTuple):
    """Per channel (of features: per feature), float32, shape [C].

    In the unit of a sample after uint8 was divided by 255; of float data in its own unit.
    """

    mean: Tensor
    std: Tensor


def measure_moments(x: Tensor) -> tuple[Moments, str]:
    """Return the moments of the samples and a note where a channel is constant.

    Computed in float64. The standard deviation divides by the number of values; a constant
    channel's is taken as 1, so that it becomes zeros.

    Args:
        x: [N, C, ...], uint8 or float.
    """
    mean, variance = _uint8_moments(x) if x.dtype == torch.uint8 else _float_moments(x)
    std = variance.sqrt()
    # Relative: rounding leaves a constant channel a variance of some 1e-16 of its square.
    constant = std <= 1e-7 * mean.abs()
    note = ""
    if bool(constant.any()):
        first = int(constant.int().argmax())
        note = (
            f"{int(constant.sum())} of {len(mean)} channels are constant over train (the first: "
            f"channel {first}); their standard deviation is taken as 1"
        )
    return Moments(mean.float(), std.where(~constant, torch.ones_like(std)).float()), note


def _uint8_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    # 256 counts a channel say all of it, exactly, and cost one pass over single bytes.
    levels = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack(
        [torch.bincount(x[:, c].flatten(), minlength=256) for c in range(x.shape[1])]
    ).double()
    shares = counts / counts.sum(dim=1, keepdim=True)
    mean = shares @ levels
    return mean, (shares * (levels - mean[:, None]).square()).sum(dim=1)


def _float_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    by_channel = [chunk.double().transpose(0, 1).flatten(1) for chunk in torch.split(x, _CHUNK)]
    count = sum(chunk.shape[1] for chunk in by_channel)
    mean = torch.stack([chunk.sum(dim=1) for chunk in by_channel]).sum(dim=0) / count
    squares = [(chunk - mean[:, None]).square().sum(dim=1) for chunk in by_channel]
    return mean, torch.stack(squares).sum(dim=0) / count


def given_moments(
    measured: Moments, mean: Numbers, std: Numbers, *, modality: str = ""
) -> Moments:
    """Return the measured moments with what the user gives in their place.

    `imagenet` for one of the two means both, unless the other is given.

    Raises:
        DataError: Another number of values than channels; `imagenet` for other than 3 channels;
            a standard deviation that is not above 0; another word.
    """
    if "imagenet" in (mean, std):
        mean, std = ("imagenet" if value is None else value for value in (mean, std))
    channels = len(measured.mean)
    return Moments(
        _numbers("mean", mean, IMAGENET_MEAN, channels, modality, measured.mean),
        _numbers("std", std, IMAGENET_STD, channels, modality, measured.std),
    )


def _numbers(
    what: str,
    value: Numbers,
    imagenet: tuple[float, ...],
    channels: int,
    modality: str,
    measured: Tensor,
) -> Tensor:
    of = f" of modality {modality!r}" if modality else ""
    if value is None:
        return measured
    if isinstance(value, str):
        if value != "imagenet":
            raise DataError(f"data.{what} is {value!r}; give numbers, or 'imagenet'")
        if channels != 3:
            raise DataError(
                f"data.{what} is 'imagenet', which has 3 channels; the data{of} has {channels}"
            )
        value = imagenet
    numbers = [float(value)] * channels if isinstance(value, int | float) else list(value)
    if len(numbers) != channels:
        raise DataError(
            f"data.{what} has {len(numbers)} numbers; the data{of} has {channels} channels"
        )
    tensor = torch.tensor(numbers, dtype=torch.float64)
    if not bool(tensor.isfinite().all()) or (what == "std" and bool((tensor <= 0).any())):
        rule = "above 0 and finite" if what == "std" else "finite"
        raise DataError(f"data.{what} is {value}; every number must be {rule}")
    return tensor.float()
