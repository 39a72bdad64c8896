"""Weights drawn from a seed of their own, the global random state left as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw what is drawn inside on the CPU from `seed`, and restore the generator afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which would reseed the accelerators too and not give them back.
        torch.default_generator.manual_seed(seed)
        yield
