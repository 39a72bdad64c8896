"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32x32, in pickles of a plain dict.

The pickles are read by ourselves with a loader that builds numpy arrays and nothing else: a
pickle from elsewhere could run any code, and torchvision's checksums refuse honest subsets.
"""

import pickle
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import DataError
from ..files import refuse_odd_file
from .facts import DataFacts
from .pool import Pool, RawData
from .published import PublishedSet

_TEN = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_HUNDRED = {"train": ("train",), "test": ("test",)}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds dicts, lists, strings, numbers and numpy arrays; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        reconstruct = np.zeros(0).__reduce__()[0]  # numpy has moved its module twice
        allowed = {"_reconstruct": reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
        if module.split(".")[0] == "numpy" and name in allowed:
            return allowed[name]
        if (module, name) == ("_codecs", "encode"):  # how bytes are written in old protocols
            return str.encode
        raise pickle.UnpicklingError(f"refused to build {module}.{name}")


def _unpickle(path: Path) -> Mapping[str, Any]:
    try:
        refuse_odd_file(path)
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{path} cannot be read ({error}); get the file again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not CIFAR's dict")
    return content


def _read_split(folder: Path, names: Sequence[str], label_key: str) -> Pool:
    images, labels = [], []
    for name in names:
        batch = _unpickle(folder / name)
        data, targets = batch.get("data"), batch.get(label_key)
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or data.ndim != 2
            or data.shape[1] != 3 * 32 * 32
            or not isinstance(targets, list)
            or len(targets) != len(data)
        ):
            raise DataError(
                f"{folder / name} has not CIFAR's layout: 'data' uint8 [N, 3072] and "
                f"{label_key!r} of N classes"
            )
        images.append(torch.from_numpy(data.reshape(-1, 3, 32, 32)))
        labels.append(torch.tensor(targets, dtype=torch.int64))
    return Pool({"": torch.cat(images)}, torch.cat(labels))


def _has_files(folder: Path, files: Mapping[str, Sequence[str]], meta: str) -> bool:
    names = [meta, *(name for split in files.values() for name in split)]
    return all((folder / name).is_file() for name in names)


def _read_files(
    folder: Path, files: Mapping[str, Sequence[str]], meta: str, name_key: str, label_key: str
) -> RawData:
    pools = {split: _read_split(folder, names, label_key) for split, names in files.items()}
    classes = _unpickle(folder / meta).get(name_key)
    if not isinstance(classes, list):
        raise DataError(f"{folder / meta} has no list {name_key!r}; get the file again")
    return RawData(pools, tuple(str(name) for name in classes))


def _published(
    name: str,
    torchvision_name: str,
    folder: str,
    num_classes: int,
    files: Mapping[str, Sequence[str]],
    meta: str,
    keys: tuple[str, str],
) -> PublishedSet:
    return PublishedSet(
        name=name,
        facts=DataFacts(
            name, {"": (3, 32, 32)}, num_classes, "uint8", 50_000, None, 10_000, False, ""
        ),
        torchvision_name=torchvision_name,
        folders=(folder,),
        has_files=partial(_has_files, files=files, meta=meta),
        read_files=partial(
            _read_files, files=files, meta=meta, name_key=keys[0], label_key=keys[1]
        ),
    )


CIFAR10 = _published(
    "cifar10",
    "CIFAR10",
    "cifar-10-batches-py",
    10,
    _TEN,
    "batches.meta",
    ("label_names", "labels"),
)
CIFAR100 = _published(
    "cifar100",
    "CIFAR100",
    "cifar-100-python",
    100,
    _HUNDRED,
    "meta",
    ("fine_label_names", "fine_labels"),
)


DATASETS = {"cifar10": CIFAR10.known(), "cifar100": CIFAR100.known()}
