"""Cold cost: the compute of a stage, as if nothing were shared, in sample-MACs.

    N_train x (3 M epochs + 3 M_hint hint_epochs + sum over sources of M_source passes)

A training step counts as three forward passes (forward, and backward at twice its cost).
Both formulas: docs/schedule.md, "Cold cost".
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class StageCosts:
    """A stage's cold cost by what it is spent on, in sample-MACs.

    Attributes:
        epoch: An epoch with labels or soft targets.
        hint_epoch: An epoch of the hint phase.
        sources: All passes of what it reads of earlier stages.
        repeated: Whether these run again in every epoch, and not once before.
    """

    epoch: int
    hint_epoch: int
    sources: int
    repeated: bool

    def cold(self, epochs: int, hint_epochs: int) -> int:
        """The cost of so many epochs."""
        return self.epoch * epochs + self.hint_epoch * hint_epochs + self.sources


def epochs_with_targets(epochs: int, until: float) -> int:
    """The first so many epochs have soft targets: `until` of `epochs`, rounded up.

    Rounded to nine digits first: 0.28 of 25 is 7, though 0.28 * 25 in binary is a little more.
    """
    return math.ceil(round(until * epochs, 9))
