"""The handwritten digits that ship with scikit-learn: 1,797 grey images of 8x8."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .facts import DataFacts
from .known_dataset import resizing
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
    table = _read_table()
    images = torch.from_numpy(table[:, :-1]).reshape(-1, 1, 8, 8)
    pool = Pool({"": (images * _TO_UINT8).to(torch.uint8)}, torch.from_numpy(table[:, -1]).long())
    return RawData({"train": pool}, tuple(map(str, range(10))))


def _read_table() -> NDArray[np.float64]:
    """A row for each image: its 64 pixels, row by row, and its class.

    From scikit-learn's file where that lies as usual: to import scikit-learn takes a second or
    two in each process, for a file that numpy reads.
    """
    found = find_spec("sklearn")
    for folder in (found and found.submodule_search_locations) or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    source = load_digits()
    return np.column_stack([source.data, source.target])


DATASETS = {"digits": resizing(describe_digits, read_digits)}
