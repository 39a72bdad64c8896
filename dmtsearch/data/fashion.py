"""Fashion-MNIST: 70,000 grey images of 28x28 in ten classes, in four files of format idx."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DataError, FileError
from ..files import refuse_odd_file
from .facts import DataFacts
from .pool import Pool, RawData
from .published import PublishedSet

_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_STEMS = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped or not.

    Format (big-endian): two zero bytes, 8 for uint8, the number of dimensions, each dimension in
    four bytes, then the values (http://yann.lecun.com/exdb/mnist, "the IDX file format").

    Raises:
        DataError: The file is truncated, damaged or holds something else.
    """
    try:
        refuse_odd_file(path)
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error, FileError) as error:
        raise DataError(f"{path} cannot be read ({error}); get the file again") from error
    if data[:3] != b"\x00\x00\x08" or len(data) < 4 or len(data) < 4 + 4 * data[3]:
        raise DataError(f"{path} is not an idx file of unsigned bytes; get the file again")
    start = 4 + 4 * data[3]
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], dtype=">u4"))
    values = np.frombuffer(data, dtype=np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path} holds {values.size} values, its header says {shape}; get the file again"
        )
    return values.reshape(shape)


def _file(folder: Path, split: str, what: str) -> Path | None:
    stem = folder / f"{_STEMS[split]}-{what}-ubyte"
    return next((path for path in (stem, Path(f"{stem}.gz")) if path.is_file()), None)


def has_fashion_files(folder: Path) -> bool:
    """Return whether all four files lie in `folder`, each gzipped or not."""
    return all(
        _file(folder, split, what) for split in _STEMS for what in ("images-idx3", "labels-idx1")
    )


def read_fashion_files(folder: Path) -> RawData:
    """Read the four files in `folder`."""
    pools = {split: _read_split(folder, split) for split in _STEMS}
    return RawData(pools, _CLASSES)


def _read_split(folder: Path, split: str) -> Pool:
    paths = [_file(folder, split, what) for what in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(path) for path in paths if path is not None)
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataError(
            f"{paths[0]} holds images of shape {images.shape} for labels of shape "
            f"{labels.shape}; Fashion-MNIST is [N, 28, 28] and [N]"
        )
    # Copied: the bytes of a file are read-only.
    x = torch.from_numpy(images.copy())[:, None]
    return Pool({"": x}, torch.from_numpy(labels.astype(np.int64)))


FASHION_MNIST = PublishedSet(
    name="fashion_mnist",
    facts=DataFacts(
        "fashion_mnist", {"": (1, 28, 28)}, 10, "uint8", 60_000, None, 10_000, False, ""
    ),
    torchvision_name="FashionMNIST",
    folders=("FashionMNIST/raw", "fashion-mnist"),
    has_files=has_fashion_files,
    read_files=read_fashion_files,
    package="dataset-fashion-mnist",
    package_folder="fashion-mnist",
)


DATASETS = {"fashion_mnist": FASHION_MNIST.known()}
