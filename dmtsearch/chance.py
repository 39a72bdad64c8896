"""One generator for each use of chance, so that no use disturbs another.

A seed is made from (seed, use, epoch, index) alone: never from a stage's name, source, hints or
number of epochs (docs/schedule.md, "Keys and chance"). So the same model starts from the same
weights and sees the same order of samples in every arm of a seed, and an interrupted run goes on
as if unbroken.
"""

import hashlib
from typing import Literal

Use = Literal["init", "adapter", "order", "augment", "dropout", "drop", "degrade", "shuffle"]


def derive_seed(seed: int, use: Use, epoch: int = 0, index: int = 0) -> int:
    """Return a 63-bit seed that depends on nothing but its arguments.

    Args:
        seed: The schedule's seed, any integer.
        use: What the chance is for.
        epoch: Epoch within a phase, from 0.
        index: A further counter: a phase, a step, a sample, a hint.
    """
    text = f"{seed}/{use}/{epoch}/{index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1
