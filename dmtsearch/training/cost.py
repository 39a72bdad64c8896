"""Cold cost: the compute of a stage, as if nothing were shared, in sample-MACs.

    N_train x (3 M epochs + 3 M_hint hint_epochs + sum over sources of M_source passes)

A training step counts as three forward passes (forward, and backward at twice its cost).
Both formulas: docs/schedule.md, "Cold cost".
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


def selector_cost(
    *, num_selector: int, draws: int, macs: int, epochs: int, classifiers: Sequence[int]
) -> int:
    """Return sample-MACs of a selector stage.

        N_selector x (3 M epochs draws + sum of classifier MACs x (1 + draws / classifiers))

    Its epochs go over the draws. Each classifier runs once on the samples as they are, and once
    on its share of the draws, in each of which one modality is degraded. Scoring on val is not
    counted, as of no stage.

    Args:
        num_selector: Samples in the `selector` split.
        draws: Degraded draws of each.
        macs: Of the selector net, for one sample.
        epochs: Passes over the draws.
        classifiers: MACs of each classifier, for one sample.
    """
    read = sum(classifiers) * (len(classifiers) + draws) // len(classifiers)
    return num_selector * (3 * macs * epochs * draws + read)


def epochs_with_targets(epochs: int, until: float) -> int:
    """The first so many epochs have soft targets: `until` of `epochs`, rounded up.

    Rounded to nine digits first: 0.28 of 25 is 7, though 0.28 * 25 in binary is a little more.
    """
    return math.ceil(round(until * epochs, 9))
