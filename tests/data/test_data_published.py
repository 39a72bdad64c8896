"""Where public sets are looked for, and what happens where they are not."""

import numpy as np
import pytest
from made_files import write_cifar10, write_fashion

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError, DataMissingError


def first_pixel(**args):
    data = load_data(name="fashion_mnist", args=args)
    return int(data.split("train").x[""][0, 0, 0, 0])


def test_places_are_searched_in_order_root_variable_cache_package(tmp_path, monkeypatch):
    write_fashion(tmp_path / "packages" / "fashion-mnist", pixel=4)
    assert first_pixel() == 4
    write_fashion(tmp_path / "cache" / "dmtsearch" / "data" / "FashionMNIST" / "raw", pixel=3)
    assert first_pixel() == 3
    write_fashion(tmp_path / "variable" / "FashionMNIST" / "raw", pixel=2, zipped=False)
    monkeypatch.setenv("DMTSEARCH_DATA", str(tmp_path / "variable"))
    assert first_pixel() == 2
    write_fashion(tmp_path / "bücher", pixel=1)
    assert first_pixel(root=str(tmp_path / "bücher")) == 1


def test_a_missing_set_says_how_to_get_it_both_ways():
    message = r"dataset-fashion-mnist.*torchvision\.datasets\.FashionMNIST\(ROOT, download=True\)"
    with pytest.raises(DataMissingError, match=rf"not on this machine .*no network.*{message}"):
        load_data(name="fashion_mnist")


def test_download_can_be_forbidden():
    with pytest.raises(DataMissingError, match=r"data.args.download is off; .*CIFAR10"):
        load_data(name="cifar10", args={"download": False})


def test_a_download_goes_to_the_root_and_is_found_from_then_on(tmp_path, monkeypatch):
    asked = []

    def fetch(root, *, download):
        asked.append(download)
        write_fashion(tmp_path.joinpath(root) / "FashionMNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", fetch)
    for _ in range(2):
        load_data(name="fashion_mnist", args={"root": str(tmp_path / "root")})
    assert asked == [True]
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["FashionMNIST"]


def test_a_download_joins_a_folder_that_is_there_in_part(tmp_path, monkeypatch):
    raw = tmp_path / "root" / "FashionMNIST" / "raw"
    write_fashion(raw)
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()

    def fetch(root, *, download):
        write_fashion(tmp_path.joinpath(root) / "FashionMNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", fetch)
    assert load_data(name="fashion_mnist", args={"root": str(tmp_path / "root")}).split_sizes


def test_a_download_that_brings_other_files_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", lambda root, *, download: None)
    with pytest.raises(
        DataMissingError, match="'cifar10' is not on this machine; run torchvision"
    ):
        load_data(name="cifar10", args={"root": str(tmp_path)})


def test_a_download_that_breaks_leaves_nothing_half_done(tmp_path, monkeypatch):
    def fetch(root, *, download):
        write_cifar10(tmp_path.joinpath(root))
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", fetch)
    with pytest.raises(DataMissingError, match=r"could not be downloaded .*corrupted"):
        load_data(name="cifar10", args={"root": str(tmp_path / "root")})
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "shape", "num_classes", "counts"),
    [
        ("fashion_mnist", (1, 28, 28), 10, (60_000, 10_000)),
        ("cifar10", (3, 32, 32), 10, (50_000, 10_000)),
        ("cifar100", (3, 32, 32), 100, (50_000, 10_000)),
    ],
)
def test_a_missing_set_is_described_without_its_files(name, shape, num_classes, counts):
    facts = describe_data(name=name)
    assert facts.shapes == {"": shape}
    assert facts.num_classes == num_classes
    assert (facts.num_train, facts.num_test) == counts
    assert not facts.present
    assert "torchvision.datasets." in facts.advice


def test_a_set_that_is_here_needs_no_advice(tmp_path):
    write_fashion(tmp_path / "packages" / "fashion-mnist")
    facts = describe_data(name="fashion_mnist", size=16)
    assert (facts.present, facts.advice, facts.shapes[""]) == (True, "", (1, 16, 16))


def test_a_root_that_is_no_path_is_refused():
    with pytest.raises(DataError, match=r"data.args.root is 7; it must be the path of a folder"):
        describe_data(name="cifar10", args={"root": 7})


def test_resizing_keeps_uint8_and_comes_close_to_the_mean(tmp_path):
    write_fashion(tmp_path, pixel=100)
    train = load_data(name="fashion_mnist", args={"root": tmp_path}, size=14).split("train").x[""]
    assert train.shape[1:] == (1, 14, 14)
    assert np.unique(train.numpy()).tolist() == [100]
