"""Seeds: a random generator for each use, so that no use disturbs another; and the generators
and settings of the process while code of others runs, restored afterwards.

A seed is made from (seed, use, epoch, index) alone: never from a stage's name, source, hints or
number of epochs (docs/schedule.md, "Keys and chance"). So the same model starts from the same
weights and sees the same order of samples in every arm of a seed, and an interrupted run goes on
as if unbroken.
"""

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

Use = Literal[
    "init", "adapter", "order", "augment", "dropout", "drop", "degrade", "shuffle", "folds"
]


def derive_seed(seed: int, use: Use, epoch: int = 0, index: int = 0) -> int:
    """Return a 63-bit seed that depends on nothing but its arguments.

    Args:
        seed: The schedule's seed, any integer.
        use: What the random numbers are for.
        epoch: Epoch within a phase, from 0.
        index: A further counter: a phase, a step, a sample, a hint.
    """
    text = f"{seed}/{use}/{epoch}/{index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw what torch draws on the CPU from `seed`, and restore its generator afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        # Not torch.manual_seed, which would reseed the accelerators too and not restore them.
        torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def seeded_everywhere(seed: int, *, devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Draw what torch, numpy and `random` draw from `seed`, and restore all of them afterwards.

    Args:
        seed: Any integer.
        devices: Accelerators whose generators are lent too.
    """
    with other_generators_kept(), torch.random.fork_rng(devices=list(devices)):
        if devices:
            torch.manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  # nets of others draw from it
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread: sums, and some ways to draw weights, depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Run code of others that builds a net: seeded, on the CPU, on one thread.

    What it changes for the whole process is restored: torch's default number format and device,
    grad mode, threads, determinism, all common generators, and the current directory.
    """
    with torch.device("cpu"), _settings_kept(), seeded_everywhere(seed), one_thread():
        yield


@contextmanager
def _settings_kept() -> Iterator[None]:
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    grad, threads = torch.is_grad_enabled(), torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    folder = os.getcwd()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
        torch.set_grad_enabled(grad)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        os.chdir(folder)


@contextmanager
def other_generators_kept() -> Iterator[None]:
    """Restore the generators of numpy and `random`."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the same
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002  # the same
