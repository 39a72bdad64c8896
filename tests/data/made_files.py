"""Small real files in the layouts of the public sets."""

import gzip
import pickle
import struct
from typing import ClassVar

import numpy as np


def idx_bytes(values):
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def write_fashion(folder, *, per_class=4, zipped=True, pixel=None):
    """Write the four files with `per_class` training images a class and half as many of test."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for stem, count in (("train", 10 * per_class), ("t10k", 5 * per_class)):
        images = draw.integers(0, 256, (count, 28, 28))
        if pixel is not None:
            images[:] = pixel
        arrays = {"images-idx3": images, "labels-idx1": np.arange(count) % 10}
        for what, values in arrays.items():
            data = idx_bytes(values)
            path = folder / f"{stem}-{what}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(data, 1) if zipped else data)
    return folder


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, as the published CIFAR files have them."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_python2_string(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    dispatch[bytes] = save_python2_string


def write_cifar(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)


def write_cifar10(root, *, per_batch=20):
    folder = root / "cifar-10-batches-py"
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        data = np.full((per_batch, 3072), number, dtype=np.uint8)
        labels = [i % 10 for i in range(per_batch)]
        write_cifar(folder, name, {b"data": data, b"labels": labels})
    write_cifar(folder, "batches.meta", {b"label_names": [b"class %d" % i for i in range(10)]})
    return folder


def write_cifar100(root):
    folder = root / "cifar-100-python"
    for name, count in (("train", 200), ("test", 100)):
        data = np.tile(np.arange(3072) // 1024, (count, 1)).astype(np.uint8)
        labels = [i % 100 for i in range(count)]
        write_cifar(
            folder, name, {b"data": data, b"fine_labels": labels, b"coarse_labels": labels}
        )
    write_cifar(folder, "meta", {b"fine_label_names": [b"f%d" % i for i in range(100)]})
    return folder
