"""The global random generators of a process, lent to a user's code and put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's (CPU) global generators; restore their states after."""
    # Numpy's old global generator is what a user's code may draw from; ours never does.
    states = (random.getstate(), np.random.get_state(), torch.random.get_rng_state())  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch CUDA too
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.random.set_rng_state(states[2])
