"""The one permutation that splits are cut from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmtsearch.data import fair_turns, stratified_order


def worst_distance(classes, num_classes):
    """Return how far any prefix is from its share of any class, in samples."""
    member = np.eye(num_classes)[classes]
    so_far = member.cumsum(axis=0)
    share = member.mean(axis=0) * np.arange(1, len(classes) + 1)[:, None]
    return np.abs(so_far - share).max()


def test_fair_turns_by_hand():
    # Shares 2 : 1, so the larger class is never more than a turn ahead.
    turns = fair_turns(np.array([4, 2]))
    assert turns.tolist() == [0, 1, 0, 0, 1, 0]


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=8))
@settings(deadline=None, max_examples=150)
def test_no_prefix_is_a_whole_sample_from_its_share(counts):
    turns = fair_turns(np.array(counts))
    assert np.bincount(turns).tolist() == counts
    # Tijdeman's bound, which is below one.
    assert worst_distance(turns, len(counts)) <= 1 - 1 / (2 * len(counts) - 2) + 1e-9


def test_a_rare_class_beside_a_large_one_keeps_its_share():
    turns = fair_turns(np.array([990, 3, 7]))
    assert worst_distance(turns, 3) < 1


def test_a_class_without_a_sample_gets_no_turn():
    assert fair_turns(np.array([0, 2, 0])).tolist() == [1, 1]


@pytest.fixture
def labels():
    return torch.from_numpy(np.random.default_rng(5).choice(4, 200, p=[0.5, 0.3, 0.15, 0.05]))


def test_stratified_order_is_a_permutation_with_fair_prefixes(labels):
    order = stratified_order(labels, 4, seed=0)
    assert torch.equal(order.sort().values, torch.arange(200))
    assert worst_distance(labels[order].numpy(), 4) < 1


def test_stratified_order_depends_on_its_seed_alone(labels):
    torch.manual_seed(1)
    first = stratified_order(labels, 4, seed=0)
    torch.manual_seed(2)
    assert torch.equal(stratified_order(labels, 4, seed=0), first)
    assert not torch.equal(stratified_order(labels, 4, seed=1), first)


def test_the_order_stays_what_it_was_when_splits_were_first_drawn():
    # Written down once: another order here would move samples between the splits of old results.
    labels = torch.arange(12) % 3
    assert stratified_order(labels, 3, seed=0).tolist() == [5, 6, 4, 8, 3, 10, 2, 0, 7, 11, 9, 1]
