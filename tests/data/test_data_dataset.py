"""A data set in use: the seal, the device, the look-up."""

import pytest
import torch
from torch.utils.data import TensorDataset

from dmtsearch.data import load_data
from dmtsearch.errors import DataError


@pytest.fixture
def data():
    return load_data(objects=TensorDataset(torch.randn(60, 4), torch.arange(60) % 3))


def test_the_test_split_is_sealed(data):
    with pytest.raises(DataError, match=r"the test split is sealed.*score on val"):
        data.split("test")
    assert data.openings == ()


def test_an_opening_is_recorded_with_its_reason_each_time(data):
    data.open_test(reason="confirm, K=3, R=10")
    data.open_test(reason="evaluate")
    assert len(data.split("test")) == 9
    assert data.openings == ("confirm, K=3, R=10", "evaluate")


def test_an_opening_needs_a_reason(data):
    with pytest.raises(DataError, match="opening the test split needs a reason"):
        data.open_test(reason="  ")


def test_an_opening_holds_for_copies_on_other_devices_and_is_counted_once(data):
    other = data.to("meta")
    other.open_test(reason="evaluate")
    assert data.openings == other.openings == ("evaluate",)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(data):
    with pytest.raises(DataError, match="no split 'selector'; known: test, val, train"):
        data.split("selector")


def test_to_moves_splits_and_moments_once_and_leaves_the_original(data):
    other = data.to("meta")
    split = other.split("train")
    devices = {values.device.type for values in (split.x[""], split.y, split.index)}
    assert devices == {"meta"}
    assert other.moments[""].mean.device.type == "meta"
    assert other.split("train") is split
    assert data.split("train").y.device.type == "cpu"
    assert data.to("cpu") is data


def test_take_looks_samples_up_by_position(data):
    train = data.split("train")
    some = train.take(torch.tensor([5, 0]))
    assert torch.equal(some.x[""], train.x[""][[5, 0]])
    assert torch.equal(some.y, train.y[[5, 0]])
    assert torch.equal(some.index, train.index[[5, 0]])
    assert len(some) == 2
