"""Several sources of one stage: how their soft losses meet, and which sit a batch out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ShapeError, UsageError, nearest

COMBINES = ("mean", "sum")


def combine_soft(
    losses: Sequence[Tensor], *, combine: str = "mean", keep: Tensor | None = None
) -> Tensor:
    """Return the mean or the sum of several sources' soft losses.

    Args:
        losses: One loss per source, each of shape [B].
        combine: `mean` or `sum`, over the sources that are kept.
        keep: Which sources count, shape [S], bool, on the CPU (from `drop_mask`); all if None.
            A dropped source reaches neither value nor gradient, not even by a NaN.

    Returns:
        One value per sample, shape [B].

    Raises:
        UsageError: Unknown `combine`, or no source is kept.
        ShapeError: `keep` has not one entry per source.

    References:
        Son et al., "Densely Guided Knowledge Distillation", ICCV 2021
        (https://arxiv.org/abs/2009.08825). `mean` makes one soft weight suit any number of
        sources.
    """
    if combine not in COMBINES:
        raise UsageError(f"soft.combine: no way {combine!r}{nearest(combine, COMBINES)}")
    kept = list(losses)
    if keep is not None:
        if keep.shape != (len(losses),):
            raise ShapeError(f"keep is {tuple(keep.shape)}; there are {len(losses)} sources")
        kept = [loss for loss, stays in zip(losses, keep.tolist(), strict=True) if stays]
    if not kept:
        raise UsageError("no source is left to learn from; at least one must stay")
    total = torch.stack(kept).sum(dim=0)
    return total / len(kept) if combine == "mean" else total


def drop_mask(num_sources: int, drop: float, generator: torch.Generator) -> Tensor:
    """Draw which sources a batch learns from.

    Each source is left out with chance `drop`, independently; where that would leave none, one
    stays, each with the same chance. Depends on nothing but the generator's state, and takes
    equally many draws from it whatever the outcome.

    Args:
        num_sources: S >= 1.
        drop: In [0, 1]; at 1 exactly one stays.
        generator: On the CPU.

    Returns:
        True where a source stays, shape [S], on the CPU.

    Raises:
        UsageError: No source, or `drop` outside [0, 1].

    References:
        Son et al., "Densely Guided Knowledge Distillation", ICCV 2021
        (https://arxiv.org/abs/2009.08825), which drops sources at random as well. That one
        always stays, and how it is drawn, is ours.
    """
    if num_sources < 1 or not 0.0 <= drop <= 1.0:
        raise UsageError(
            f"cannot drop {num_sources} sources with chance {drop}; "
            "at least one source, and a chance in [0, 1]"
        )
    stays = torch.rand(num_sources, generator=generator) >= drop
    last = torch.randint(num_sources, (), generator=generator)
    if not bool(stays.any()):
        stays[last] = True
    return stays
