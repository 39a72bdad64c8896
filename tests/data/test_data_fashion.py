"""Fashion-MNIST and its file format."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from made_files import idx_bytes, write_fashion
from torchvision.datasets import FashionMNIST

from dmtsearch.data import load_data, read_fashion_files, read_idx
from dmtsearch.errors import DataError

REAL = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def folder(tmp_path):
    """The real set where Debian's package is installed, else small files of the same layout."""
    return REAL if REAL.is_dir() else write_fashion(tmp_path / "made", per_class=30)


def test_fashion_mnist_is_read_as_published(folder):
    data = load_data(name="fashion_mnist", args={"root": folder})
    assert data.facts.shapes == {"": (1, 28, 28)}
    assert data.facts.storage == "uint8"
    assert data.classes[9] == "Ankle boot"
    data.open_test(reason="this test counts it")
    assert data.split_sizes["test"] == len(data.split("test")) == data.facts.num_test
    assert torch.equal(data.split("test").y.unique(), torch.arange(10))
    mean = float(data.moments[""].mean)
    # Published mean of the real set: .286; of uniform pixels: .5.
    assert mean == pytest.approx(0.286 if folder == REAL else 0.5, abs=0.01)


def test_fashion_mnist_is_what_torchvision_reads(tmp_path):
    """Ours reads gzipped files and Debian's folder too, and names a damaged file."""
    write_fashion(tmp_path / "FashionMNIST" / "raw", zipped=False)
    ours = read_fashion_files(tmp_path / "FashionMNIST" / "raw")
    for split, train in (("train", True), ("test", False)):
        theirs = FashionMNIST(str(tmp_path), train=train)
        assert torch.equal(ours.pools[split].x[""][:, 0], theirs.data)
        assert torch.equal(ours.pools[split].y, theirs.targets)
    assert list(ours.classes) == theirs.classes


@pytest.mark.parametrize("zipped", [True, False], ids=["gzipped", "plain"])
def test_an_idx_file_is_read_back(tmp_path, zipped):
    write_fashion(tmp_path, zipped=zipped)
    images = read_idx(tmp_path / f"train-images-idx3-ubyte{'.gz' if zipped else ''}")
    expected = np.random.default_rng(0).integers(0, 256, (40, 28, 28))
    assert np.array_equal(images, expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an idx file of unsigned bytes"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "is not an idx file of unsigned bytes"),
        (b"\x00\x00\x08\x03\x00\x00", "is not an idx file of unsigned bytes"),
        (idx_bytes(np.zeros((2, 3)))[:-1], r"holds 5 values, its header says \(2, 3\)"),
        (idx_bytes(np.zeros((2, 3))) + b"x", r"holds 7 values, its header says \(2, 3\)"),
    ],
)
def test_a_damaged_idx_file_is_refused_by_name(tmp_path, data, message):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(data)
    with pytest.raises(DataError, match=f"images-idx3-ubyte {message}"):
        read_idx(path)


def test_a_truncated_gzip_is_refused_by_name(tmp_path):
    write_fashion(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz cannot be read .* get the"):
        load_data(name="fashion_mnist", args={"root": tmp_path})


def test_files_of_another_set_are_refused(tmp_path):
    write_fashion(tmp_path, zipped=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((40, 32, 32))))
    with pytest.raises(DataError, match=r"images of shape \(40, 32, 32\).*is \[N, 28, 28\]"):
        load_data(name="fashion_mnist", args={"root": tmp_path})


def test_a_label_out_of_range_is_refused_with_its_sample(tmp_path):
    write_fashion(tmp_path, zipped=False)
    labels = np.arange(40) % 10
    labels[3] = 12
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    with pytest.raises(DataError, match=r"sample 3 of train has label 12, but there are 10 cl"):
        load_data(name="fashion_mnist", args={"root": tmp_path})


def test_a_pipe_or_device_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "images-idx3-ubyte")
    (tmp_path / "zero-idx3-ubyte").symlink_to("/dev/zero")
    for name, kind in (("images-idx3-ubyte", "pipe"), ("zero-idx3-ubyte", "device")):
        with pytest.raises(DataError, match=f"is a {kind}; name a regular file"):
            read_idx(tmp_path / name)
