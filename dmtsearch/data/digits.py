"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8x8."""

from collections.abc import Mapping
from typing import Any

import torch

from .facts import DataFacts
from .pool import Pool, RawData

_TO_UINT8 = 15
"""Stored pixels count 0 to 16; times 15 they are exact whole numbers that fit uint8 (0 to 240).

So 1.0 of the usual uint8 scale is 17 in the set's own unit. Normalised by the training set's
moments, the two scales give the same inputs.
"""


def describe_digits(args: Mapping[str, Any]) -> DataFacts:
    """Return the facts, which need no files."""
    return DataFacts("digits", {"": (1, 8, 8)}, 10, "uint8", 1797, None, None, True, "")


def read_digits(args: Mapping[str, Any]) -> RawData:
    """Read all digits; the set brings no test split of its own."""
    from sklearn.datasets import load_digits

    source = load_digits()
    images = torch.from_numpy(source.images)[:, None]
    labels = torch.from_numpy(source.target).long()
    pool = Pool({"": (images * _TO_UINT8).to(torch.uint8)}, labels)
    return RawData({"train": pool}, tuple(str(name) for name in source.target_names))
