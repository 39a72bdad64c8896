"""One permutation of a pool whose every prefix holds each class in its share."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..files import sha256_text
from .sample_rng import mix


def stratified_order(labels: Tensor, num_classes: int, *, seed: int) -> Tensor:
    """Return a permutation of the samples, fixed by `seed` alone.

    Every prefix of m samples holds m n_c / N samples of class c, give or take less than one. Which
    samples of a class come first is mixed from (seed, position), so it is the same for all
    versions of torch and numpy.

    Args:
        labels: Classes from 0 to num_classes - 1, each with a sample, int64, shape [N], CPU.
        num_classes: K >= 2.
        seed: Any integer.

    Returns:
        Positions, int64, shape [N].
    """
    base = int(sha256_text(f"{seed}/split")[:15], 16)
    by_chance = mix(torch.arange(len(labels)), base=base).argsort(stable=True)
    by_class = by_chance[labels[by_chance].argsort(stable=True)]
    counts = torch.bincount(labels, minlength=num_classes)
    class_order = mix(torch.arange(num_classes), base=base ^ 1).argsort(stable=True)
    turns = class_order[torch.from_numpy(fair_turns(counts[class_order].numpy()))]
    # The t-th turn of a class takes its t-th sample: sort turns by class, stably, and pair them.
    order = torch.empty_like(by_class)
    order[turns.argsort(stable=True)] = by_class
    return order


def fair_turns(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whose turn it is, `counts[k]` times k, no class ever a whole turn ahead or behind.

    References:
        Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980
        (doi 10.1016/0012-365X(80)90269-1): every prefix is within 1 - 1 / (2K - 2) of its share.
        The turns repeat with the period sum(counts) / gcd(counts), so only one is worked out.
    """
    present = np.flatnonzero(counts)
    divisor = math.gcd(*(int(count) for count in counts[present]))
    shares = counts[present] // divisor
    total, slack = int(shares.sum()), max(2 * len(present) - 2, 1)
    had = np.zeros_like(shares)
    turns = np.empty(total, dtype=np.int64)
    for turn in range(total):
        # All in whole numbers, scaled by total x slack.
        behind = slack * (shares * (turn + 1) - total * had)
        urgency = np.where(behind >= total, (total * (slack - 1) - behind) / shares, np.inf)
        turns[turn] = urgency.argmin()
        had[turns[turn]] += 1
    return np.tile(present[turns], divisor)
