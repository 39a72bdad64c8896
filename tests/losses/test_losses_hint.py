"""The loss towards a source's activations."""

import numpy as np
import pytest
import torch

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.losses import mse_loss, tap_mean_square


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(5, 2, 3, 4, generator=generator).double() for _ in range(2))


def test_hint_loss_is_mean_square_per_sample():
    student = torch.tensor([[1.0, 2.0], [0.0, 0.0]]).reshape(2, 2, 1, 1)
    source = torch.tensor([[1.0, 0.0], [3.0, 1.0]]).reshape(2, 2, 1, 1)
    # By hand: (0 + 4) / 2 = 2 and (9 + 1) / 2 = 5.
    torch.testing.assert_close(mse_loss(student, source), torch.tensor([2.0, 5.0]))


def test_unit_hint_loss_divides_by_the_mean_square_of_the_whole_batch():
    student = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    source = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    # By hand: the source's mean square is (1 + 0 + 9 + 1) / 4 = 2.75.
    expected = torch.tensor([2 / 2.75, 5 / 2.75])
    torch.testing.assert_close(mse_loss(student, source, scale="unit"), expected)


@pytest.mark.parametrize("scale", ["none", "unit"])
def test_hint_loss_equals_numpys(maps, scale):
    student, source = (values.numpy() for values in maps)
    expected = ((student - source) ** 2).mean(axis=(1, 2, 3))
    if scale == "unit":
        expected = expected / (source**2).mean()
    np.testing.assert_allclose(mse_loss(*maps, scale=scale).numpy(), expected, rtol=1e-12)


def test_answering_zeros_costs_one_under_unit_scale_for_any_layer(maps):
    for factor in (0.01, 1.0, 100.0):
        value = mse_loss(torch.zeros_like(maps[1]), factor * maps[1], scale="unit").mean()
        torch.testing.assert_close(value, torch.tensor(1.0, dtype=torch.float64))


def test_dropping_a_sample_changes_the_others_by_one_common_factor_under_unit_scale(maps):
    whole = mse_loss(*maps, scale="unit")
    part = mse_loss(maps[0][1:], maps[1][1:], scale="unit")
    factor = tap_mean_square(maps[1]) / tap_mean_square(maps[1][1:])
    torch.testing.assert_close(part, whole[1:] * factor)


def test_a_tap_of_zeros_has_no_scale_and_is_left_as_it_is():
    student, source = torch.ones(2, 3), torch.zeros(2, 3)
    assert torch.equal(mse_loss(student, source, scale="unit"), torch.ones(2))


def test_tap_mean_square_by_hand():
    assert tap_mean_square(torch.tensor([[1.0, 0.0], [3.0, 1.0]])).item() == 2.75


def test_hint_loss_refuses_unlike_maps_instead_of_broadcasting():
    with pytest.raises(
        ShapeError, match=r"student \(2, 1, 4, 4\), source \(2, 8, 4, 4\).*adapter"
    ):
        mse_loss(torch.zeros(2, 1, 4, 4), torch.zeros(2, 8, 4, 4))


def test_hint_loss_refuses_an_unknown_scale_with_the_nearest():
    with pytest.raises(UsageError, match="no scale 'units'; did you mean 'unit'"):
        mse_loss(torch.zeros(1, 2), torch.zeros(1, 2), scale="units")
