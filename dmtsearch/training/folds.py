"""Folds of the training split: which samples a copy of a stage is not trained on."""

import torch
from torch import Tensor

from dmtsearch.schedule import HeldOut
from dmtsearch.seeding import derive_seed


def fold_of_samples(num_samples: int, num_folds: int) -> Tensor:
    """The fold of each sample by its position in the training split, from 0, int64, [N], CPU.

    Folds are as equal as they can be, drawn at random, and the same for every seed: like the
    splits, they are no part of what differs between two seeds.
    """
    generator = torch.Generator().manual_seed(derive_seed(0, "folds"))
    ranks = torch.empty(num_samples, dtype=torch.int64)
    ranks[torch.randperm(num_samples, generator=generator)] = torch.arange(num_samples)
    return ranks * num_folds // num_samples


def positions_without(fold: HeldOut, num_samples: int) -> Tensor:
    """The samples of a training split that are not in `fold`: positions, rising, int64, CPU."""
    return (fold_of_samples(num_samples, fold.of) != fold.number).nonzero().squeeze(1)


def num_without(fold: HeldOut, num_samples: int) -> int:
    """How many these are."""
    first, end = (-(-num_samples * number // fold.of) for number in (fold.number, fold.number + 1))
    return num_samples - (end - first)
