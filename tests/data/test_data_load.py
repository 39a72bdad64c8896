"""The two ways in, on the data that ships with scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dmtsearch.data import DATASETS, Pool, RawData, describe_data, fingerprint, load_data
from dmtsearch.errors import DataError
from dmtsearch.names import DATA_SETS


def test_digits_are_kept_exactly_at_fifteen_times_their_own_unit():
    data = load_data(name="digits")
    train = data.split("train")
    assert train.x[""].dtype == torch.uint8
    original = load_digits().images[train.index.numpy()]
    assert np.array_equal(train.x[""][:, 0].numpy(), original * 15)
    assert np.array_equal(train.y.numpy(), load_digits().target[train.index.numpy()])


def test_digits_have_the_moments_of_their_train_split():
    data = load_data(name="digits")
    values = data.split("train").x[""].numpy() / 255.0
    np.testing.assert_allclose(data.moments[""].mean.numpy(), [values.mean()], rtol=1e-6)
    np.testing.assert_allclose(data.moments[""].std.numpy(), [values.std()], rtol=1e-6)


def test_what_is_described_is_what_is_loaded():
    described, loaded = describe_data(name="digits"), load_data(name="digits").facts
    assert loaded.classes == tuple("0123456789")  # known once labels are read
    assert described == replace(loaded, classes=())


def test_size_resizes_digits():
    assert describe_data(name="digits", size=16).shapes == {"": (1, 16, 16)}
    assert load_data(name="digits", size=16).split("val").x[""].shape[1:] == (1, 16, 16)


@pytest.mark.parametrize("size", [0, -1, 8.0, True, "8"])
def test_a_size_that_is_no_number_of_pixels_is_refused(size):
    with pytest.raises(DataError, match=f"data.size is {size!r}; it must be a whole number of p"):
        load_data(name="digits", size=size)


def test_size_is_refused_for_features():
    data = torch.utils.data.TensorDataset(torch.rand(20, 4), torch.arange(20) % 2)
    with pytest.raises(DataError, match=r"data.size is 8, but the data holds 4 features a sample"):
        load_data(objects=data, size=8)


def test_imagenet_moments_are_refused_for_grey_digits():
    with pytest.raises(DataError, match="'imagenet', which has 3 channels; the data has 1"):
        load_data(name="digits", mean="imagenet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "digit"}, "no data set 'digit'; did you mean 'digits'"),
        ({"name": "digits", "args": {"root": "x"}}, r"data.args.root: digits takes no 'root'$"),
        (
            {"name": "cifar10", "args": {"rot": "x"}},
            r"data.args.rot: cifar10 takes no 'rot'; did you mean 'root'",
        ),
        ({}, "data needs either a name or a factory; neither is given"),
        ({"name": "digits", "factory": "a:b"}, "a name or a factory; both are given"),
    ],
)
@pytest.mark.parametrize("way", [describe_data, load_data])
def test_names_and_arguments_are_checked_with_the_nearest(way, settings, message):
    with pytest.raises(DataError, match=message):
        way(**settings)


def test_the_sets_known_by_name_are_those_that_a_schedule_may_name():
    assert list(DATASETS) == list(DATA_SETS)


def raw(**changes):
    x, y = torch.arange(24, dtype=torch.uint8).reshape(4, 6), torch.tensor([0, 1, 0, 1])
    parts = {"x": {"": x}, "y": y, "classes": ("a", "b"), "split": "train", **changes}
    return RawData({parts["split"]: Pool(parts["x"], parts["y"])}, parts["classes"])


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"x": {"": torch.zeros(4, 6, dtype=torch.uint8)}}, id="a value"),
        pytest.param(
            {"x": {"": torch.arange(24, dtype=torch.uint8).reshape(4, 3, 2)}}, id="shape"
        ),
        pytest.param({"x": {"": torch.arange(24).reshape(4, 6).float()}}, id="dtype"),
        pytest.param({"x": {"v": torch.arange(24, dtype=torch.uint8).reshape(4, 6)}}, id="view"),
        pytest.param({"y": torch.tensor([0, 1, 1, 0])}, id="labels"),
        pytest.param({"classes": ("a", "c")}, id="a class name"),
        pytest.param({"split": "test"}, id="the split"),
    ],
)
def test_the_fingerprint_changes_with_all_that_is_read(changes):
    assert fingerprint(raw(**changes)) != fingerprint(raw())


def test_the_fingerprint_is_the_same_for_the_same_content():
    assert fingerprint(raw()) == fingerprint(raw())


def test_the_fingerprint_of_the_digits_is_the_same_on_every_machine():
    # Written down once; another value here would make every stored result of theirs unusable.
    expected = "a132d43ddb815e1a7ce1a379c10dae8dee49f8dabd8f29b2e6cac240cab763ad"
    assert load_data(name="digits").fingerprint == expected


def test_size_leaves_images_of_that_size_untouched():
    plain, sized = load_data(name="digits"), load_data(name="digits", size=8)
    assert sized.fingerprint == plain.fingerprint
