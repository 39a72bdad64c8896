"""Traps that belong to data: each check passes on ours and fails on a version with the fault."""

import pytest
import torch
from torch.utils.data import TensorDataset

from dmtsearch import data
from dmtsearch.errors import DataError


def loaded(**settings):
    samples = TensorDataset(torch.arange(300.0)[:, None], torch.arange(300) % 3)
    return data.load_data(objects=samples, **settings)


def check_test_is_sealed():
    """Nobody selects a model on the test split by accident."""
    try:
        loaded().split("test")
    except DataError:
        return
    raise AssertionError("the test split was read without being opened")


def check_no_seed_but_split_seed_moves_a_sample():
    """The global generator, which a stage's seed may set, has no part in the splits."""
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(loaded().split("val").index)
    assert torch.equal(*found)


def check_train_moves_nobody():
    """A smaller train set is a prefix, and val stays what it was."""
    small, large = loaded(train=60), loaded(train=120)
    assert torch.equal(small.split("val").index, large.split("val").index)
    assert torch.equal(small.split("train").index, large.split("train").index[:60])


def check_augmentation_belongs_to_the_sample():
    """A kept output and a live one are of the same view, whatever batch the sample is in."""
    images = torch.arange(10 * 64, dtype=torch.float32).reshape(10, 1, 8, 8)
    index = torch.arange(10)
    whole = data.crop_flip(images, seed=0, epoch=0, index=index)
    part = data.crop_flip(images[5:], seed=0, epoch=0, index=index[5:])
    assert torch.equal(part, whole[5:])


def unsealed(self, name):
    return self._stored[name]


def order_by_the_global_generator(labels, num_classes, *, seed):
    return torch.randperm(len(labels))


def train_cut_off_first(raw, sizes, *, seed):
    order = data.stratified_order(raw.pools["train"].y, len(raw.classes), seed=seed)
    ends = torch.tensor([sizes[name] for name in ("train", "val", "test")]).cumsum(0).tolist()
    train, val, test, _ = order.tensor_split(ends)
    return {"train": train, "val": val, "test": test}


def flip_by_place_in_the_batch(x, *, seed, epoch, index, pad=None):
    mirrored = (torch.arange(len(x)) % 2 == 0)[:, None, None, None]
    return torch.where(mirrored, x.flip(3), x)


TRAPS = {
    "test is not sealed": (check_test_is_sealed, "dmtsearch.data.DataSet.split", unsealed),
    "splits by the global generator": (
        check_no_seed_but_split_seed_moves_a_sample,
        "dmtsearch.data.splits.stratified_order",
        order_by_the_global_generator,
    ),
    "train is cut off first": (
        check_train_moves_nobody,
        "dmtsearch.data.data_loading.draw_splits",
        train_cut_off_first,
    ),
    "augmentation by place in the batch": (
        check_augmentation_belongs_to_the_sample,
        "dmtsearch.data.crop_flip",
        flip_by_place_in_the_batch,
    ),
}


@pytest.mark.parametrize(("check", "target", "broken"), TRAPS.values(), ids=TRAPS)
def test_a_trap_is_kept_shut_and_its_check_sees_it_open(check, target, broken, monkeypatch):
    check()
    monkeypatch.setattr(target, broken)
    with pytest.raises(AssertionError, match=r"."):
        check()
