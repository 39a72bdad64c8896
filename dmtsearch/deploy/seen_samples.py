"""Which samples a bundle's model was trained on or chosen by, so that no score counts them.

By content, as 64 bits of a hash each (8 bytes a sample): the same picture is recognised in another
data set, in another order and under another label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dmtsearch.data import DataSet, Split, sample_digests
from dmtsearch.errors import BundleError
from dmtsearch.files import read_regular

SAMPLES = "samples.safetensors"
_LEARNED, _TEST = "learned", "test"
_MOST_BYTES = 1 << 32
"""Of the file: half a thousand million samples."""


@dataclass(frozen=True)
class SeenSamples:
    """Digests of a bundle's samples, sorted, int64.

    Attributes:
        learned: Of the splits that trained or chose (train, val, selector).
        test: Of the sealed test split.
    """

    learned: Tensor
    test: Tensor


def samples_bytes(data: DataSet, modalities: Sequence[str]) -> bytes:
    """Return the file's content for a model that reads `modalities` of `data`."""
    found = data.sample_digests(modalities)
    learned = [digests for split, digests in found.items() if split != "test"]
    return save({_LEARNED: torch.unique(torch.cat(learned)), _TEST: torch.unique(found["test"])})


def read_seen(folder: Path, checksums: Mapping[str, str]) -> SeenSamples | None:
    """Return what a bundle has seen; None for one of an older version, which does not say it.

    Raises:
        BundleError: The file is damaged.
    """
    if SAMPLES not in checksums:
        return None
    path = folder / SAMPLES
    try:
        found = load(read_regular(path, most=_MOST_BYTES))
        return SeenSamples(found[_LEARNED], found[_TEST])
    except (OSError, KeyError, SafetensorError) as error:
        raise BundleError(f"{path}: damaged ({error}); train again into a new folder") from error


def digests_of(split: Split, modalities: Sequence[str]) -> Tensor:
    """Return the digest of each sample of a split, int64 [N]."""
    x = {name: split.x[name].cpu() for name in modalities}
    return sample_digests(x, modalities)
