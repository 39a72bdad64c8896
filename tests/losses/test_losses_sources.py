"""Several sources: how their losses meet, and which are dropped."""

import pytest
import torch
from scipy.stats import chisquare

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.losses import combine_soft, drop_mask

LOSSES = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0]), torch.tensor([8.0, 4.0])]


@pytest.mark.parametrize(
    ("combine", "keep", "expected"),
    [
        pytest.param("mean", None, [4.0, 4.0], id="mean of all"),
        pytest.param("sum", None, [12.0, 12.0], id="sum of all"),
        pytest.param("mean", [True, False, True], [4.5, 3.0], id="mean over the kept"),
        pytest.param("sum", [True, False, True], [9.0, 6.0], id="sum over the kept"),
    ],
)
def test_combine_soft_by_hand(combine, keep, expected):
    mask = None if keep is None else torch.tensor(keep)
    value = combine_soft(LOSSES, combine=combine, keep=mask)
    torch.testing.assert_close(value, torch.tensor(expected))


def test_one_source_is_itself_under_both_ways():
    assert torch.equal(combine_soft(LOSSES[:1], combine="mean"), LOSSES[0])
    assert torch.equal(combine_soft(LOSSES[:1], combine="sum"), LOSSES[0])


def test_a_dropped_source_reaches_neither_value_nor_gradient():
    dropped = torch.tensor([float("nan"), 1.0], requires_grad=True)
    kept = torch.tensor([1.0, 2.0], requires_grad=True)
    value = combine_soft([dropped, kept], keep=torch.tensor([False, True]))
    value.sum().backward()
    assert torch.equal(value, kept)
    assert dropped.grad is None


def test_combine_soft_refuses_an_unknown_way():
    with pytest.raises(UsageError, match="no way 'meen'; did you mean 'mean'"):
        combine_soft(LOSSES, combine="meen")


def test_combine_soft_refuses_to_learn_from_nobody():
    with pytest.raises(UsageError, match="no source is left to learn from"):
        combine_soft(LOSSES, keep=torch.zeros(3, dtype=torch.bool))


def test_combine_soft_refuses_a_mask_of_another_length():
    with pytest.raises(ShapeError, match=r"keep is \(2,\); there are 3 sources"):
        combine_soft(LOSSES, keep=torch.ones(2, dtype=torch.bool))


def draws(num_sources, drop, count=4000):
    generator = torch.Generator().manual_seed(11)
    return torch.stack([drop_mask(num_sources, drop, generator) for _ in range(count)])


@pytest.mark.parametrize("drop", [0.5, 0.9, 1.0])
def test_one_source_always_stays(drop):
    assert draws(3, drop, 500).any(dim=1).all()


def test_without_drop_all_stay():
    assert draws(3, 0.0, 200).all()


def test_at_drop_one_exactly_one_stays_each_as_often():
    masks = draws(4, 1.0)
    assert (masks.sum(dim=1) == 1).all()
    assert chisquare(masks.sum(dim=0).numpy()).pvalue > 1e-3


def test_a_source_stays_as_often_as_the_rule_says():
    # By hand, S = 3 and drop 0.5: stays with .5, or is the one kept of none: .5^3 / 3.
    share = draws(3, 0.5).float().mean(dim=0)
    torch.testing.assert_close(share, torch.full((3,), 0.5 + 0.125 / 3), rtol=0, atol=0.03)


def test_drop_mask_depends_on_its_generator_alone():
    torch.manual_seed(1)
    first = drop_mask(5, 0.5, torch.Generator().manual_seed(3))
    torch.manual_seed(2)
    assert torch.equal(drop_mask(5, 0.5, torch.Generator().manual_seed(3)), first)


def test_drop_mask_takes_equally_many_draws_whatever_the_outcome():
    states = []
    for drop in (0.0, 1.0):
        generator = torch.Generator().manual_seed(3)
        drop_mask(5, drop, generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


@pytest.mark.parametrize(("num_sources", "drop"), [(0, 0.5), (2, 1.5), (2, -0.1)])
def test_drop_mask_refuses_what_cannot_be_drawn(num_sources, drop):
    with pytest.raises(UsageError, match=f"cannot drop {num_sources} sources with chance {drop}"):
        drop_mask(num_sources, drop, torch.Generator())
