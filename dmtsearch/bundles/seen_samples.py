"""Which samples a bundle's model was trained on or chosen by, so that no score counts them.

By content, as 64 bits of a hash each (8 bytes a sample): the same picture is recognised in another
data set, in another order and under another label. By coarse features besides (at most 184 bytes a
modality): so it is after a normalisation, a cast, a flip or a light re-encoding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dmtsearch.data import DataSet, SampleFeatures, Split, find_like, sample_digests
from dmtsearch.errors import BundleError
from dmtsearch.files import read_regular

SAMPLES = "samples.safetensors"
_LEARNED, _TEST = "learned", "test"
_COUNT, _SHAPES, _SUMS, _MOMENTS = "features", "shapes/", "sums/", "moments/"
_MOST_BYTES = 1 << 34
"""Of the file: some hundred million samples."""


@dataclass(frozen=True)
class Recognised:
    """Samples that a bundle knows, bool [N] each; none is of two kinds.

    Attributes:
        copies: Learned, and as they were.
        alike: Learned, and normalised, cast, flipped or encoded again since.
        test: Of the sealed test split, changed or not.
    """

    copies: Tensor
    alike: Tensor
    test: Tensor

    def changed(self) -> str:
        """Say how many are `alike`; empty where none is."""
        count = int(self.alike.sum())
        return f"{count:,} were normalised, flipped or encoded again" if count else ""


@dataclass(frozen=True)
class SeenSamples:
    """A bundle's samples.

    Attributes:
        learned: Digests of the splits that trained or chose (train, val, selector), int64, sorted.
        test: Digests of the sealed test split, int64, sorted.
        features: Coarse features of all samples; None in a bundle of an older version.
        count: So many of them, the first, are of samples that were learned.
    """

    learned: Tensor
    test: Tensor
    features: SampleFeatures | None
    count: int

    def recognise(self, split: Split, modalities: Sequence[str]) -> Recognised:
        """Return which samples of a split were learned, and which are of the test split.

        One that is of the test split by its content was not learned, however like another it is.
        """
        x = {name: split.x[name].cpu() for name in modalities}
        digests = sample_digests(x, modalities)
        learned, test = torch.isin(digests, self.learned), torch.isin(digests, self.test)
        new = ~(learned | test)
        alike = torch.zeros_like(new)
        if self.features is None or not new.any():
            return Recognised(learned, alike, test & ~learned)
        found = find_like({name: values[new] for name, values in x.items()}, self.features)
        alike[new] = (found >= 0) & (found < self.count)
        test[new] = found >= self.count
        return Recognised(learned, alike, test & ~learned)


def samples_bytes(data: DataSet, modalities: Sequence[str]) -> bytes:
    """Return the file's content for a model that reads `modalities` of `data`."""
    found = data.sample_digests(modalities)
    learned = torch.cat([digests for split, digests in found.items() if split != "test"])
    features = data.sample_features(modalities)
    tensors = {
        _LEARNED: torch.unique(learned),
        _TEST: torch.unique(found["test"]),
        _COUNT: torch.tensor([len(learned)]),
        **{_SHAPES + name: values for name, values in features.shapes.items()},
        **{_SUMS + name: values for name, values in features.sums.items()},
        **{_MOMENTS + name: values for name, values in features.moments.items()},
    }
    return save(tensors)


def read_seen(folder: Path, checksums: Mapping[str, str]) -> SeenSamples | None:
    """Return what a bundle has seen; None for one of an older version, which does not say it.

    Raises:
        BundleError: The file is damaged, or a tensor is none that such a file has.
    """
    if SAMPLES not in checksums:
        return None
    path = folder / SAMPLES
    try:
        found = load(read_regular(path, most=_MOST_BYTES))
        learned, test = (_typed(found, name, torch.int64, 1) for name in (_LEARNED, _TEST))
        if _COUNT not in found:
            return SeenSamples(learned, test, None, 0)
        count = int(_typed(found, _COUNT, torch.int64, 1).sum())
        return SeenSamples(learned, test, _features(found), count)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise BundleError(f"{path}: damaged ({error}); train again into a new folder") from error


def _features(found: Mapping[str, Tensor]) -> SampleFeatures:
    shapes, sums, moments = (
        {
            name.removeprefix(kind): _typed(found, name, dtype, dims)
            for name in found
            if name.startswith(kind)
        }
        for kind, dtype, dims in (
            (_SHAPES, torch.float16, 2),
            (_SUMS, torch.float32, 2),
            (_MOMENTS, torch.float64, 3),
        )
    )
    if len({len(rows) for rows in (*shapes.values(), *sums.values())}) > 1:
        raise ValueError("features of unequal numbers of samples")
    if sums.keys() != moments.keys() or any(
        one.shape[:2] != (3, 4) or sums[name].shape[1] != 6 for name, one in moments.items()
    ):
        raise ValueError("moments that are not those of its sums")
    return SampleFeatures(shapes, sums, moments)


def _typed(found: Mapping[str, Tensor], name: str, dtype: torch.dtype, dims: int) -> Tensor:
    tensor = found[name]
    if tensor.dtype != dtype or tensor.ndim != dims:
        raise ValueError(f"{name} is {tensor.dtype} {list(tensor.shape)}")
    return tensor
