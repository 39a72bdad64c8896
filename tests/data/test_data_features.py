"""Samples are recognised after a normalisation, and others are not taken for them."""

import pytest
import torch
from sklearn import datasets

from dmtsearch.data import column_moments, find_like, sample_features


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(x):
    return sample_features({"m": x}, column_moments({"m": x}, {"m": x}, {"m": x}))


def recognised(x, known):
    return find_like({"m": x}, features(known))


def digits():
    x = torch.tensor(datasets.load_digits().images, dtype=torch.float32)[:, None]
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]


def test_of_digits_those_of_another_split_are_not_taken_for_known_ones():
    x = digits()
    assert (recognised(x[900:], x[:900]) >= 0).sum() == 0
    assert recognised(x[:900].flip(-1) / 16 - 0.3, x[:900]).tolist() == list(range(900))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: (x - x.mean(0)) / x.std(0),
        lambda x: (x - x.amin(0)) / (x.amax(0) - x.amin(0)),
        lambda x: ((x - x.mean(0)) / x.std(0, correction=0))[:30],
        lambda x: x.half().float(),
        lambda x: (x - x[:50].mean(0)) / x[:50].std(0, correction=0),
    ],
)
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_tables_are_recognised_by_the_moments_of_their_splits(name, change):
    x = torch.tensor(getattr(datasets, f"load_{name}")().data, dtype=torch.float32).unique(dim=0)
    known = sample_features({"": x}, column_moments({"": x}, {"": x}, {"": x[:50]}))
    given = change(x)
    found = find_like({"": given}, known)
    assert (found == torch.arange(len(given))).float().mean() > 0.9
    other = features(x[::2])
    assert (find_like({"m": x[1::2]}, other) >= 0).float().mean() < 0.03


@pytest.mark.parametrize(
    "spike", [lambda x: x * 0 + 7, lambda x: torch.where(torch.arange(64).view(8, 8) == 9, x, 7)]
)
def test_near_uniform_pictures_are_never_taken_for_one_another(spike):
    x = spike(torch.arange(40.0).view(-1, 1, 1, 1).expand(-1, 1, 8, 8))
    assert (recognised(x + 1, x) == -1).all()


def test_of_two_modalities_both_must_be_alike():
    a, b = drawn(30, 3, 8, 8), drawn(30, 5, seed=1)
    x = {"a": a, "b": b}
    known = sample_features(x, column_moments(x, x, x))
    assert find_like({"a": 2 * a, "b": b}, known).tolist() == list(range(30))
    assert (find_like({"a": 2 * a, "b": b.flip(0)}, known) == -1).all()


@pytest.mark.parametrize("shape", [(3,), (1, 2, 2), (5,)])
def test_what_is_too_small_or_all_alike_is_not_recognised(shape):
    x = torch.ones(20, *shape)
    assert (recognised(x, x) == -1).all()
    assert (recognised(drawn(1, *shape), drawn(1, *shape)) == -1).all()
