"""The soft loss, its standardised form and its units."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.losses import (
    kl_loss,
    standardise,
)


def test_soft_loss_by_hand():
    # Softmax of [ln 3, 0] is [3/4, 1/4]; of [0, 0] it is [1/2, 1/2].
    source = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    student = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    first = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    second = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    torch.testing.assert_close(
        kl_loss(student, source, temperature=1.0), torch.tensor([first, second])
    )


def test_soft_loss_at_temperature_two_by_hand():
    # Divided by T = 2, [2 ln 3, 0] becomes [ln 3, 0]; the result is times T^2 = 4.
    source, student = torch.tensor([[2 * math.log(3), 0.0]]), torch.zeros(1, 2)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    torch.testing.assert_close(kl_loss(student, source, temperature=2.0), torch.tensor([expected]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 10.0])
def test_soft_loss_equals_scipys_relative_entropy(logits, temperature):
    student, source = (values.numpy() for values in logits[:2])
    p, q = (softmax(values / temperature, axis=1) for values in (source, student))
    expected = temperature**2 * rel_entr(p, q).sum(axis=1)
    ours = kl_loss(*logits[:2], temperature=temperature)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


def test_soft_loss_differs_from_hintons_by_the_sources_entropy_alone(logits):
    student, source, _ = logits
    p = softmax(source.numpy() / 4, axis=1)
    cross_entropy = -(p * log_softmax(student.numpy() / 4, axis=1)).sum(axis=1)
    entropy = -(p * np.log(p)).sum(axis=1)
    expected = 16 * (cross_entropy - entropy)
    np.testing.assert_allclose(
        kl_loss(student, source, temperature=4).numpy(), expected, rtol=1e-11
    )


def test_soft_loss_is_never_below_zero_for_nearly_equal_logits():
    generator = torch.Generator().manual_seed(1)
    source = 5 * torch.randn(2000, 10, generator=generator)
    student = source + 1e-4 * torch.randn(2000, 10, generator=generator)
    assert (kl_loss(student, source, temperature=4.0) >= 0).all()


def test_soft_loss_stays_finite_for_large_logits():
    # By hand: p = [1, 0], q = [0, 1] but for exp(-1000); p log(p / q) = 1000.
    source, student = torch.tensor([[1000.0, 0.0]]), torch.tensor([[0.0, 1000.0]])
    torch.testing.assert_close(kl_loss(student, source, temperature=1.0), torch.tensor([1000.0]))


def test_soft_loss_refuses_other_classes():
    with pytest.raises(ShapeError, match=r"student \(2, 3\), source \(2, 4\).*same classes"):
        kl_loss(torch.zeros(2, 3), torch.zeros(2, 4), temperature=1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_soft_loss_refuses_a_temperature_that_is_not_above_zero(temperature):
    with pytest.raises(UsageError, match=f"temperature is {temperature}; it must be above 0"):
        kl_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature=temperature)


def test_standardise_by_hand():
    # Mean 2, deviations -2, 0, 0, 2, variance 8 / 4 = 2.
    expected = torch.tensor([[-math.sqrt(2), 0.0, 0.0, math.sqrt(2)]])
    torch.testing.assert_close(standardise(torch.tensor([[0.0, 2.0, 2.0, 4.0]])), expected)


def test_standardise_equals_numpys_z_score(logits):
    values = logits[0].numpy()
    expected = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    np.testing.assert_allclose(standardise(logits[0]).numpy(), expected, rtol=1e-7)


def test_standardise_is_larger_than_the_authors_code_by_the_ratio_of_the_deviations():
    values = torch.tensor([[0.3, -1.0, 2.0, 0.5, 4.0, -2.0, 1.0, 0.0, 3.0, -0.5]])
    theirs = (values - values.mean(1, keepdim=True)) / (1e-7 + values.std(1, keepdim=True))
    torch.testing.assert_close(standardise(values), theirs * math.sqrt(10 / 9))


def test_standardise_ignores_shift_and_positive_scale(logits):
    torch.testing.assert_close(
        standardise(5 * logits[0] - 3), standardise(logits[0]), rtol=1e-6, atol=1e-6
    )


def test_standardise_of_constant_logits_is_zero_with_a_finite_gradient():
    constant = torch.full((1, 4), 2.5, requires_grad=True)
    value = standardise(constant)
    value.sum().backward()
    assert torch.equal(value, torch.zeros(1, 4))
    assert constant.grad.isfinite().all()
