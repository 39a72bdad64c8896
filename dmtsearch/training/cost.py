"""Cold cost: the compute of a stage, as if nothing were shared, in sample-MACs.

    N_train x (3 M epochs + 3 M_hint hint_epochs + sum over sources of M_source passes)

A training step counts as three forward passes (forward, and backward at twice its cost).
Source: GRAMMAR.md section 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SourcePasses:
    """A source's share: MACs of one sample, and how often it runs over the training split."""

    macs: int
    passes: int


def cold_cost(
    *,
    num_train: int,
    macs: int,
    epochs: int,
    hint_macs: int,
    hint_epochs: int,
    sources: Sequence[SourcePasses],
) -> int:
    """Return sample-MACs of one stage.

    Args:
        num_train: Samples in the training split.
        macs: Multiply-accumulates of the stage's model for one sample.
        epochs: Epochs with labels or soft targets.
        hint_macs: MACs up to the last hint point.
        hint_epochs: Epochs of the hint phase.
        sources: What is read of each source.
    """
    read = sum(source.macs * source.passes for source in sources)
    return num_train * (3 * macs * epochs + 3 * hint_macs * hint_epochs + read)


def epochs_with_targets(epochs: int, until: float) -> int:
    """The first so many epochs have soft targets: `until` of `epochs`, rounded up.

    Rounded to nine digits first: 0.28 of 25 is 7, though 0.28 * 25 in binary is a little more.
    """
    return math.ceil(round(until * epochs, 9))
