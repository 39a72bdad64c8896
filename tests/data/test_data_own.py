"""Data sets given as objects."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError


class Listed(Dataset):
    """A map-style data set over a list."""

    def __init__(self, items, classes=None):
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


def listed(x, count=20, **settings):
    return Listed([(x(i), i % 2) for i in range(count)], **settings)


@pytest.mark.parametrize(
    ("x", "shape", "storage"),
    [
        (lambda i: torch.rand(3, 4, 5), (3, 4, 5), "float32"),
        (lambda i: torch.rand(7, dtype=torch.float64), (7,), "float32"),
        (lambda i: torch.rand(7).half(), (7,), "float32"),
        (lambda i: torch.zeros(1, 4, 4, dtype=torch.uint8), (1, 4, 4), "uint8"),
        (lambda i: np.zeros((2, 3, 3), np.float32), (2, 3, 3), "float32"),
    ],
    ids=["image", "features", "half", "uint8", "numpy"],
)
def test_samples_are_read_once_into_tensors(x, shape, storage):
    data = load_data(objects=listed(x))
    assert data.facts.shapes == {"": shape}
    assert data.facts.storage == storage
    assert str(data.split("train").x[""].dtype) == f"torch.{storage}"


def test_samples_keep_their_values_and_labels():
    data = load_data(objects=Listed([(torch.tensor([float(i)]), i % 2) for i in range(20)]))
    train = data.split("train")
    assert torch.equal(train.x[""].flatten().long() % 2, train.y)


@pytest.mark.parametrize("label", [torch.tensor, np.int32, np.array, int])
def test_labels_may_be_any_whole_number(label):
    data = load_data(objects=Listed([(torch.rand(2), label(i % 2)) for i in range(20)]))
    assert data.split("train").y.dtype == torch.int64


def test_modalities_are_read_by_name():
    views = listed(lambda i: {"iris": torch.rand(1, 4, 4), "eye": torch.rand(3, 6, 6)})
    data = load_data(objects=views)
    assert data.facts.shapes == {"iris": (1, 4, 4), "eye": (3, 6, 6)}
    assert data.moments["eye"].mean.shape == (3,)
    assert len(data.split("train").x["iris"]) == data.split_sizes["train"]


def test_modalities_of_unlike_storage_are_called_mixed():
    views = listed(lambda i: {"a": torch.rand(2), "b": torch.zeros(2, dtype=torch.uint8)})
    assert describe_data(objects=views).storage == "mixed"


def test_a_constant_modality_is_noted_by_name():
    views = listed(lambda i: {"a": torch.rand(2), "b": torch.ones(2)})
    assert load_data(objects=views).notes[0].startswith("b: 2 of 2 channels are constant")
    assert load_data(objects=views, std=1.0).notes == ()


def test_class_names_come_from_the_data_set():
    data = load_data(objects=listed(lambda i: torch.rand(2), classes=["left", "right"]))
    assert data.classes == ("left", "right")


def test_a_tensor_data_set_gives_what_the_same_samples_one_by_one_give():
    x, y = torch.rand(20, 3), torch.arange(20) % 2
    whole = load_data(objects=TensorDataset(x, y))
    single = load_data(objects=Listed(list(zip(x, y, strict=True))))
    assert whole.fingerprint == single.fingerprint


def test_the_users_tensors_stay_theirs():
    x = torch.rand(20, 3)
    data = load_data(objects=TensorDataset(x, torch.arange(20) % 2))
    before = data.split("train").x[""].clone()
    x.zero_()
    assert torch.equal(data.split("train").x[""], before)


GOOD = [(torch.zeros(2), 0), (torch.ones(2), 1)] * 5


def with_third(item):
    return Listed([*GOOD[:2], item, *GOOD[:7]])


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (Endless(), "got Endless; give a map-style torch Dataset"),
        (Listed([]), "train: the data set is empty"),
        ({"trian": Listed(GOOD)}, "no split 'trian'; did you mean 'train'"),
        ({"test": Listed(GOOD)}, r"gave splits \['test'\], but no 'train'"),
        (with_third(torch.zeros(2)), r"sample 2: is a Tensor; it must be a pair \(x, label\)"),
        (with_third((torch.zeros(2), 0, 1)), "sample 2: is a tuple of 3; it must be a pair"),
        (with_third((torch.zeros(3), 0)), r"\(2,\) in sample 0 .* \(3,\) in sample 2"),
        (with_third((torch.zeros(2, dtype=torch.uint8), 0)), "torch.uint8 .* in sample 2"),
        (
            with_third(({"a": torch.zeros(2)}, 0)),
            r"sample 0 has modalities \[''\], sample 2 \['a'",
        ),
        (with_third(({}, 0)), r"sample 2: x has modalities \[\]"),
        (with_third(({3: torch.zeros(2)}, 0)), r"x has modalities \[3\]; name each of them"),
        (with_third(("abc", 0)), "sample 2: x is a str; give a float tensor"),
        (with_third((torch.zeros(2, 2), 0)), r"x has shape \(2, 2\); give \[C, H, W\] or"),
        (with_third((torch.zeros(2, dtype=torch.int64), 0)), "x is torch.int64; give floats"),
        (with_third((torch.tensor([0.0, float("nan")]), 0)), "sample 2 holds NaN or infinite"),
        (with_third((torch.zeros(2), 0.5)), r"sample 2: label is 0.5 \(float\); give a whole"),
        (with_third((torch.zeros(2), True)), r"label is True \(bool\)"),
        (with_third((torch.zeros(2), torch.tensor([1]))), r"label is tensor\(\[1\]\) \(Tensor\)"),
        (with_third((torch.zeros(2), -1)), "sample 2 of train has label -1, but there are 2 cl"),
        (with_third((torch.zeros(2), 3)), r"class 2 \('2'\) has no sample"),
        (with_third((torch.zeros(2), 10**9)), "the largest label is 1000000000 among 10 samples"),
        (Listed([(torch.zeros(2), 0)] * 5), r"only one class \('0'\)"),
        (Listed([(torch.zeros(2), -1)] * 5), "sample 0 of train has label -1, but there are 0"),
        (Listed(GOOD, classes=["a", "b", "c"]), r"class 2 \('c'\) has no sample"),
        (Listed(GOOD, classes=["a"]), r"only one class \('a'\)"),
        (Listed(GOOD, classes=2), "`classes` is 2; it must be a list of names"),
        (TensorDataset(torch.rand(4, 2), torch.rand(4)), r"labels are torch.float32 \(4,\)"),
        (TensorDataset(torch.rand(4, 2, 2), torch.arange(4)), r"sample 0: x has shape \(2, 2\)"),
        (
            {"train": Listed(GOOD), "test": Listed([(torch.zeros(3), 0)])},
            r"samples of train are .* of test .*; all splits must be alike",
        ),
        (
            {"train": Listed(GOOD, classes=["a", "b"]), "test": Listed([(torch.zeros(2), 2)])},
            "sample 0 of test has label 2, but there are 2 classes",
        ),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_by_sample(objects, message):
    with pytest.raises(DataError, match=message):
        load_data(objects=objects)


def labelled(*labels, **settings):
    return Listed(
        [(torch.full((2,), float(i)), label) for i, label in enumerate(labels)] * 3, **settings
    )


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (
            labelled(1, 2, 3),
            r"class 0 \('0'\) has no .*the numbers 1 to 3, and must count from 0: gi",
        ),
        (labelled(1, 2, 3, classes=["x", "y", "z"]), "sample 2 of train has label 3, .* 1 to 3"),
        (
            labelled(3, 7, 11, 19),
            r"label is 19 among 12 .* gaps \(3, 7, 11, 19\).*give \{3: 0, 7: 1, 11: 2, 19: 3",
        ),
        (labelled(0, 1, 3), r"class 2 \('2'\) has no sample; the labels have gaps \(0, 1, 3\)"),
        (
            labelled(0, 1, 3, classes=["a", "b", "c", "d"]),
            r"class 2 \('c'\) has no sample; give it some, or leave the class out",
        ),
        (
            labelled(0, 1, -1),
            r"label -1, .* marks a sample without a label \(3 of them here\); lea",
        ),
        (labelled(0, 1, -100), "sample 2 of train has label -100, .* leave such samples out"),
        (labelled(0, 1, -7), "label -7, but there are 2 classes; labels count from 0"),
        (
            labelled(torch.eye(3)[1]),
            r"it looks one-hot: give the class's number, label.argmax\(\)",
        ),
        (labelled([0, 0, 1]), "it looks one-hot"),
        (labelled(np.array([0.2, 0.7, 0.1])), "it looks like probabilities"),
        (labelled(torch.tensor([1.0, 1.0, 0.0])), "it holds several classes at once"),
        (labelled(torch.tensor([2])), r"give the number itself: label.item\(\)"),
        (labelled(2.0), r"label is 2.0 \(float\); give a whole number: int\(label\)"),
        (labelled("cat"), "the place of this name in a list of the classes' names"),
        (labelled(None), "leave out samples that have no label"),
        (
            TensorDataset(torch.rand(6, 2), torch.eye(3).repeat(2, 1)),
            r"\(6, 3\); .* looks one-hot",
        ),
        (
            {"train": labelled(0, 1), "val": labelled(0, 1, 2)},
            "sample 2 of val has label 2, and train has the classes 0 to 1; a class is learned fr",
        ),
    ],
)
def test_labels_are_explained_with_the_remedy(objects, message):
    with pytest.raises(DataError, match=message):
        load_data(objects=objects)


def of_shape(*shape, dtype=torch.float32):
    return listed(lambda i: torch.full(shape, i).to(dtype))


@pytest.mark.parametrize(
    "objects",
    [
        of_shape(16, 16, 3, dtype=torch.uint8),
        of_shape(24, 16, 1, dtype=torch.uint8),
        of_shape(32, 48, 3),
        of_shape(28, 28, 1),
        listed(lambda i: np.full((16, 16, 4), i, np.uint8)),
    ],
    ids=["uint8", "grey uint8", "wide floats", "square grey floats", "numpy RGBA"],
)
def test_channels_last_pictures_are_noticed(objects):
    with pytest.raises(DataError, match=r"looks like \[H, W, C\], .*permute\(2, 0, 1\)"):
        load_data(objects=objects)


@pytest.mark.parametrize(
    "shape",
    [(3, 16, 3), (9, 16, 16), (9, 128, 1), (16, 8, 4), (9, 16, 3), (64, 4, 4), (1, 64, 1)],
)
def test_other_shapes_are_not_taken_for_channels_last(shape):
    assert load_data(objects=of_shape(*shape)).facts.shapes == {"": shape}


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (lambda i: np.array(["a", "b"]), "x is a numpy array of <U1; give floats"),
        (lambda i: np.zeros((1, 4, 4), np.uint16), "x is torch.uint16; give floats"),
        (
            lambda i: torch.eye(4),
            r"x has shape \(4, 4\); .* a grey image is \[1, H, W\]: x\[None\]",
        ),
        (lambda i: torch.zeros(3, 4, 4).to_sparse(), r"x is torch.sparse_coo; .* x.to_dense\(\)"),
    ],
)
def test_samples_that_are_no_pictures_or_features_are_named(x, message):
    with pytest.raises(DataError, match=message):
        load_data(objects=listed(x))


def test_numpy_samples_may_be_reversed_read_only_or_big_endian():
    values = np.arange(4, dtype=">f4")
    values.setflags(write=False)
    train = load_data(objects=listed(lambda i: (values + i)[::-1])).split("train")
    assert torch.equal(train.x[""][:, 0] - train.x[""][:, 3], torch.full((len(train),), 3.0))
    assert load_data(objects=listed(lambda i: values)).split("train").x[""][0].tolist() == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (DataLoader(Listed(GOOD)), r"got DataLoader; .* it holds one: give its `.dataset`"),
        (
            Listed([{"image": torch.zeros(2), "label": 1}]),
            "is a dict with 'image', 'label'; it must",
        ),
        ((torch.rand(9, 2), torch.arange(9)), "sample 0: is a Tensor; it must be a pair"),
        (
            {"train": Listed(GOOD), "valid": Listed(GOOD), "dev": Listed(GOOD)},
            "'valid' and 'dev' both mean the split 'val'",
        ),
    ],
)
def test_what_is_no_data_set_is_named(objects, message):
    with pytest.raises(DataError, match=message):
        load_data(objects=objects)


def test_splits_may_have_any_usual_name():
    given = {"Training": Listed(GOOD), "valid": Listed(GOOD[:4]), "test_set": Listed(GOOD[:2])}
    assert load_data(objects=given).split_sizes == {"test": 2, "val": 4, "train": 10}


class Huge(Listed):
    def __len__(self):
        return 10**13


def test_data_that_does_not_fit_into_memory_is_refused_before_it_is_read():
    with pytest.raises(DataError, match=r"samples take 80,000.0 GB in memory, and .* GB are free"):
        load_data(objects=Huge(GOOD))


class Failing(Listed):
    def __getitem__(self, index):
        if index == 3:
            raise OSError("disk gone")
        return super().__getitem__(index)


def test_a_sample_that_cannot_be_read_is_named_with_the_error():
    with pytest.raises(DataError, match="sample 3: reading it raised OSError: disk gone"):
        load_data(objects=Failing(GOOD))


def test_a_modality_with_nan_is_named():
    views = listed(lambda i: {"a": torch.rand(2), "b": torch.full((2,), float("inf"))})
    with pytest.raises(DataError, match="sample 0 of modality 'b' holds NaN or infinite"):
        load_data(objects=views)
