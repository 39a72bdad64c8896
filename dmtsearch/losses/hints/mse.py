"""The loss towards a source's activations at a chosen layer."""

import torch
from torch import Tensor

from ...errors import UsageError, nearest
from ..inputs import refuse_unlike, widened

HINT_SCALES = ("none", "unit")


def mse_loss(student: Tensor, source: Tensor, *, scale: str = "none") -> Tensor:
    """Mean squared distance between a student's and a source's activations at a hint pair.

    Not reduced over the batch, so that one value stands for one sample.

    Args:
        student: Adapted activations of the model in training, shape [B, ...], any float type.
        source: The source's activations at the paired layer, same shape; held constant.
        scale: `none`: in squared activation units. `unit`: divided by `tap_mean_square(source)`,
            which is taken over the whole batch (a per-sample one would blow up samples with
            quiet activations) and held constant; 1 is then the cost of answering all zeros, for
            any layer. So under `unit`, and only there, a sample's value depends on its batch, by
            one factor common to all samples.

    Returns:
        One value per sample, shape [B], float32 (float64 for float64 inputs).

    Raises:
        ShapeError: The shapes differ; the hint needs an adapter.
        UsageError: Unknown `scale`.

    References:
        Romero et al., "FitNets", ICLR 2015, eq. 3 (https://arxiv.org/abs/1412.6550).
        Ours averages over the elements and drops the 1/2, so that one weight suits all layers.
    """
    if scale not in HINT_SCALES:
        raise UsageError(f"hints.scale: no scale {scale!r}{nearest(scale, HINT_SCALES)}")
    refuse_unlike("hint maps", student, source, "set an `adapter` on this hint")
    target = widened(source.detach())
    distance = (widened(student) - target).square().flatten(start_dim=1).mean(dim=1)
    if scale == "none":
        return distance
    energy = tap_mean_square(target)
    # A tap that is zero everywhere has no scale of its own: its loss is left as it is.
    return distance / torch.where(energy > 0, energy, torch.ones_like(energy))


def tap_mean_square(source: Tensor) -> Tensor:
    """Return the mean square of a source's activations over batch and elements, a scalar.

    The number to report beside a hint weight: weights of layers whose mean squares differ by 100
    do not mean the same (overhaul-distillation#16: weight 1 hurt, 0.01 helped).
    """
    return widened(source.detach()).square().mean()
