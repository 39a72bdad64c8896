"""Placebos of merit: the same weights without what they know of each sample.

A source that fits its training set is right on nearly all of it (about 99.8 % in the papers'
setting), so `delta` is then almost a constant. Whether merit helps is told only by comparison
with the constant of the same mean, and with the same weights dealt to other samples.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import UsageError, nearest


def place_merit(weights: Tensor, *, placebo: str, seed: int) -> Tensor:
    """Return the train set's merit weights, or what `placebo` makes of them.

    Args:
        weights: a_i of the *whole* train set in the order of its samples, shape [N]; call once.
        placebo: `none`, `mean` or `shuffle`.
        seed: For `shuffle`; already derived (`chance.derive_seed(seed, "shuffle")`).

    Raises:
        UsageError: Unknown placebo; a weight outside [0, 1] or NaN.
    """
    if placebo not in PLACEBOS:
        raise UsageError(f"merit.placebo: no placebo {placebo!r}{nearest(placebo, PLACEBOS)}")
    return PLACEBOS[placebo](weights, seed)


def matched_mean(weights: Tensor) -> Tensor:
    """Return the constant mean of `weights` ([N], in [0, 1]) for every sample."""
    _refuse_outside(weights)
    return weights.double().mean().to(weights.dtype).expand_as(weights).clone()


def shuffled(weights: Tensor, *, seed: int) -> Tensor:
    """Return `weights` ([N], in [0, 1]) permuted over the samples; the same on every device."""
    _refuse_outside(weights)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(weights), generator=generator)
    return weights[order.to(weights.device)]


def _unchanged(weights: Tensor) -> Tensor:
    _refuse_outside(weights)
    return weights


def _refuse_outside(weights: Tensor) -> None:
    outside = ~((weights >= 0) & (weights <= 1))  # written so that NaN counts as outside
    if bool(outside.any()):
        index = int(outside.int().argmax())
        raise UsageError(
            f"merit gives sample {index} the weight {float(weights[index]):g}; "
            "it must lie in [0, 1]"
        )


PLACEBOS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "none": lambda weights, _: _unchanged(weights),
    "mean": lambda weights, _: matched_mean(weights),
    "shuffle": lambda weights, seed: shuffled(weights, seed=seed),
}
