"""Sizes of splits, and which sample falls to which."""

import inspect
import random

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from dmtsearch.data import describe_data, describe_splits, load_data, plan_splits
from dmtsearch.errors import DataError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, {"test": 150, "val": 150, "train": 700}, id="all by default"),
        pytest.param(
            {"with_selector": True},
            {"test": 150, "val": 150, "selector": 140, "train": 560},
            id="the selector takes a fifth of what is left",
        ),
        pytest.param(
            {"train": 300, "val": 0.25, "test": 50},
            {"test": 50, "val": 250, "train": 300},
            id="counts and fractions of the pool",
        ),
        pytest.param(
            {"with_selector": True, "selector": 0.1, "train": 0.5},
            {"test": 150, "val": 150, "selector": 100, "train": 500},
            id="a selector as a fraction of the pool",
        ),
    ],
)
def test_split_sizes_of_a_pool_of_a_thousand(settings, expected):
    assert plan_splits(1000, {}, **settings) == expected


def test_splits_that_the_set_brings_take_nothing_from_the_pool():
    assert plan_splits(1000, {"test": 200}) == {"test": 200, "val": 150, "train": 850}
    sizes = plan_splits(1000, {"test": 200, "val": 100}, test=0.5, val=30)
    assert sizes == {"test": 100, "val": 30, "train": 1000}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": 900}, r"data.train requests 900 samples; .* has 700"),
        ({"val": 2000}, r"data.val requests 2000 samples; the development pool has 850"),
        (
            {"test": 0.6, "val": 0.6},
            r"data.val requests 600 samples; the development pool has 400",
        ),
        (
            {"test": 500, "val": 500},
            r"no sample is left for data.train: of 1000, test 500, val 500",
        ),
        ({"val": 0}, r"data.val is 0; a split needs at least 1 sample"),
        ({"train": -5}, r"data.train is -5; a split needs at least 1 sample"),
        ({"val": 1.0}, r"data.val is 1.0; a fraction lies between 0 and 1"),
        ({"val": float("nan")}, r"data.val is nan; a fraction lies between 0 and 1"),
        ({"val": 0.0001}, r"data.val is 0.0001 of 1000 samples, which is 0"),
        ({"train": True}, r"data.train is True; give a count or a fraction"),
        ({"train": "all"}, r"data.train is 'all'; give a count or a fraction"),
        ({"selector": 0.2}, r"data.selector is 0.2, but no stage trains a selector"),
        (
            {"selector": 800, "with_selector": True},
            r"requests 800 samples; what test and val leave",
        ),
    ],
)
def test_what_cannot_be_split_is_refused_with_numbers(settings, message):
    with pytest.raises(DataError, match=message):
        plan_splits(1000, {}, **settings)


def test_counts_of_a_larger_set_are_refused_with_shares_that_fit():
    counts = {"test": 600, "val": 400, "train": 300}
    with pytest.raises(DataError, match="or shares, which fit any set: ") as error:
        plan_splits(40, {}, **counts)
    shares = dict(word.removeprefix("data.").split("=") for word in str(error.value).split()[-3:])
    assert set(shares) == set(counts)
    assert plan_splits(40, {}, **{name: float(share) for name, share in shares.items()})
    with pytest.raises(DataError, match=r"no sample is left .* request fewer, or shares"):
        plan_splits(40, {}, test=20, val=20)


def test_more_than_the_sets_own_split_is_refused():
    with pytest.raises(DataError, match="test requests 300 samples; the set's own test split has"):
        plan_splits(1000, {"test": 200}, test=300)


def test_splits_are_described_before_the_data_is_read():
    facts = describe_data(name="cifar10")
    assert describe_splits(facts, train=40000, val=10000) == {
        "test": 10000,
        "val": 10000,
        "train": 40000,
    }


def test_splits_of_unknown_size_are_not_made_up(tmp_path):
    args = {"root": str(tmp_path / "nowhere"), "classes": 3}
    assert describe_splits(describe_data(name="image_folder", args=args, size=8)) is None


def numbered(count=600, num_classes=3):
    """Samples that carry their own number."""
    return TensorDataset(
        torch.arange(count, dtype=torch.float32)[:, None], torch.arange(count) % num_classes
    )


def members(data, name):
    if name == "test" and not data.openings:
        data.open_test(reason="this test compares splits")
    return data.split(name).x[""].flatten().int().tolist()


def test_splits_are_disjoint_and_cover_the_pool():
    data = load_data(objects=numbered(), with_selector=True)
    found = [number for name in data.split_sizes for number in members(data, name)]
    assert sorted(found) == list(range(600))


def test_a_splits_index_is_the_place_in_the_pool():
    split = load_data(objects=numbered()).split("val")
    assert torch.equal(split.index, split.x[""].flatten().long())


def test_a_smaller_train_set_is_a_prefix_and_moves_nobody():
    small = load_data(objects=numbered(), train=100, with_selector=True)
    large = load_data(objects=numbered(), train=300, with_selector=True)
    assert members(small, "train") == members(large, "train")[:100]
    for name in ("test", "val", "selector"):
        assert members(small, name) == members(large, name)


def test_no_seed_but_split_seed_moves_a_sample():
    reference = load_data(objects=numbered())
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  the old global generator is what must not matter
        random.seed(seed)
        again = load_data(objects=numbered())
        assert all(members(again, name) == members(reference, name) for name in again.split_sizes)
        assert again.split_digests == reference.split_digests
    seeds = [name for name in inspect.signature(load_data).parameters if "seed" in name]
    assert seeds == ["split_seed"]


def test_split_seed_moves_samples_and_keeps_the_fingerprint():
    first, second = (load_data(objects=numbered(), split_seed=seed) for seed in (0, 1))
    assert members(first, "val") != members(second, "val")
    assert first.split_digests != second.split_digests
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("name", ["test", "val", "selector", "train"])
def test_every_split_has_each_class_in_its_share(name):
    data = load_data(objects=numbered(), with_selector=True)
    share = np.bincount(np.array(members(data, name)) % 3) - data.split_sizes[name] / 3
    assert np.abs(share).max() < 2


def test_a_subset_of_the_sets_own_test_split_is_stratified_and_a_prefix():
    parts = {"train": numbered(), "test": numbered(300)}
    small, large = (load_data(objects=parts, test=count) for count in (30, 90))
    assert members(small, "test") == members(large, "test")[:30]
    assert np.bincount(np.array(members(small, "test")) % 3).tolist() == [10, 10, 10]


def test_a_class_that_misses_train_is_refused_with_its_count():
    labels = torch.tensor([0] * 50 + [1] * 49 + [2])
    data = TensorDataset(torch.zeros(100, 1), labels)
    with pytest.raises(
        DataError, match=r"class 2 \('2'\) has 1 samples and none .* to train \(4 s"
    ):
        load_data(objects=data, train=4)
