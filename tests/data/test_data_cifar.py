"""CIFAR's files, read without running what a pickle may hold."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from made_files import write_cifar, write_cifar10, write_cifar100
from torchvision.datasets import CIFAR10

from dmtsearch.data import CIFAR10 as PUBLISHED
from dmtsearch.data import load_data
from dmtsearch.errors import DataError


def test_cifar10_is_read_from_its_five_batches(tmp_path):
    write_cifar10(tmp_path)
    data = load_data(name="cifar10", args={"root": tmp_path})
    assert data.facts.shapes == {"": (3, 32, 32)}
    assert (data.facts.num_train, data.facts.num_test) == (100, 20)
    assert data.classes[3] == "class 3"
    data.open_test(reason="this test looks at it")
    # The test batch was filled with 5, the training batches with 0 to 4.
    assert data.split("test").x[""].unique().tolist() == [5]


def test_cifar10_is_what_torchvision_reads(tmp_path):
    """Ours reads subsets too, which torchvision's checksums refuse, and runs no pickle's code."""
    folder = write_cifar10(tmp_path)

    class Subset(CIFAR10):
        """Without the checksums of the published files."""

        train_list: ClassVar = [[name, None] for name, _ in CIFAR10.train_list]
        test_list: ClassVar = [[name, None] for name, _ in CIFAR10.test_list]
        meta: ClassVar = {**CIFAR10.meta, "md5": None}

    ours = PUBLISHED.read_files(folder)
    for split, train in (("train", True), ("test", False)):
        theirs = Subset(str(folder.parent), train=train)
        images = torch.from_numpy(theirs.data).permute(0, 3, 1, 2)
        assert torch.equal(ours.pools[split].x[""], images)
        assert ours.pools[split].y.tolist() == theirs.targets
    assert list(ours.classes) == theirs.classes


def test_cifar100_has_its_fine_classes_and_its_channels_in_order(tmp_path):
    write_cifar100(tmp_path)
    data = load_data(name="cifar100", args={"root": tmp_path}, val=50)
    assert len(data.classes) == 100
    x = data.split("train").x[""]
    assert torch.equal(x[0], torch.arange(3, dtype=torch.uint8)[:, None, None].expand(3, 32, 32))


def test_a_batch_written_by_todays_python_and_numpy_is_read_too(tmp_path):
    folder = write_cifar10(tmp_path)
    content = {"data": np.full((20, 3072), 9, np.uint8), "labels": [i % 10 for i in range(20)]}
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    data = load_data(name="cifar10", args={"root": tmp_path})
    data.open_test(reason="this test looks at it")
    assert data.split("test").x[""].unique().tolist() == [9]


class Intruder:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_2").write_bytes(pickle.dumps(Intruder(), protocol=2))
    with pytest.raises(DataError, match=r"data_batch_2 cannot be read \(refused to build .*print"):
        load_data(name="cifar10", args={"root": tmp_path})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, not CIFAR's dict"),
        ({b"labels": [0]}, "has not CIFAR's layout"),
        ({b"data": np.zeros((1, 100), np.uint8), b"labels": [0]}, "has not CIFAR's layout"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "has not CIFAR's layout"),
    ],
)
def test_another_layout_is_refused_by_file(tmp_path, content, message):
    write_cifar(write_cifar10(tmp_path), "data_batch_1", content)
    with pytest.raises(DataError, match=f"data_batch_1 {message}"):
        load_data(name="cifar10", args={"root": tmp_path})


def test_a_truncated_pickle_is_refused_by_file(tmp_path):
    path = write_cifar10(tmp_path) / "data_batch_4"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"data_batch_4 cannot be read .* get the file again"):
        load_data(name="cifar10", args={"root": tmp_path})


def test_missing_class_names_are_refused(tmp_path):
    write_cifar(write_cifar10(tmp_path), "batches.meta", {b"other": 1})
    with pytest.raises(DataError, match=r"batches.meta has no list 'label_names'"):
        load_data(name="cifar10", args={"root": tmp_path})
