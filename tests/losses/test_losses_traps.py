"""Traps that others fell into: each check passes on ours and fails on a version with the fault.

A check reads its function from the room's module at call time, so that the test can put a broken
one there and see the check refuse it.
"""

import pytest
import torch
from torch.nn import functional

from dmtsearch import losses


def check_soft_unit():
    """KL per sample, summed over classes, times T^2, zero for equal logits."""
    student = torch.tensor([[1.0, -1.0, 0.5, 0.0], [2.0, 0.0, 0.0, 1.0]])
    source = torch.tensor([[0.0, 1.0, 0.0, 3.0], [1.0, 1.0, -1.0, 0.0]])
    expected = 9 * functional.kl_div(
        functional.log_softmax(student / 3, 1),
        functional.softmax(source / 3, 1),
        reduction="batchmean",
    )
    actual = losses.kl_loss(student, source, temperature=3.0)
    torch.testing.assert_close(actual.mean(), expected)
    assert torch.equal(losses.kl_loss(source, source, temperature=3.0), torch.zeros(2))


def check_source_is_constant():
    """No gradient reaches the source's outputs or activations."""
    student = torch.ones(2, 3, requires_grad=True)
    source = torch.tensor([[0.1, 0.9, 0.4], [0.7, 0.2, 0.0]], requires_grad=True)
    total = losses.kl_loss(student, source, temperature=2.0) + losses.mse_loss(student, source)
    total.sum().backward()
    assert source.grad is None


def check_hint_is_per_element():
    """A hint weight means the same for a layer of 8 and of 512 elements."""
    small = losses.mse_loss(torch.zeros(2, 8), torch.ones(2, 8))
    large = losses.mse_loss(torch.zeros(2, 8, 8, 8), torch.ones(2, 8, 8, 8))
    torch.testing.assert_close(small, large)
    torch.testing.assert_close(small, torch.ones(2))


def check_unit_scale_levels_layers():
    """Under `unit` a layer with activations a hundred times larger costs the same."""
    student, source = (
        torch.tensor([[0.5, 0.0], [2.0, 1.0]]),
        torch.tensor([[1.0, 0.0], [3.0, 1.0]]),
    )
    quiet = losses.mse_loss(student, source, scale="unit")
    loud = losses.mse_loss(100 * student, 100 * source, scale="unit")
    torch.testing.assert_close(quiet, loud)


def check_merit_trusts_the_right_source_more():
    """Where the source is right E_soft weighs more, where it is wrong less."""
    source, labels = torch.eye(4) * 5, torch.tensor([0, 1, 3, 2])
    weights = losses.merit_weights(source, labels, rule="delta", increment=0.1)
    torch.testing.assert_close(weights, torch.tensor([0.6, 0.6, 0.4, 0.4]))


def fitted_source_weights():
    """Merit weights of a source that fits its training set: right on 998 of 1000 samples."""
    labels = torch.arange(1000) % 10
    answers = labels.clone()
    answers[:2] = (answers[:2] + 1) % 10
    source = functional.one_hot(answers, 10).float()
    return losses.merit_weights(source, labels, rule="delta", increment=0.1)


def check_matched_mean_shows_that_delta_is_nearly_constant():
    """For a source that fits its training set the control is within .0004 of the larger weight."""
    weights = fitted_source_weights()
    control = losses.place_merit(weights, placebo="mean", seed=0)
    # By hand: (998 x 0.6 + 2 x 0.4) / 1000 = 0.5996.
    torch.testing.assert_close(control, torch.full((1000,), 0.5996))


def check_shuffle_unlinks_weights_from_samples():
    """The same weights, but no longer those of the samples that the source gets wrong."""
    weights = fitted_source_weights()
    dealt = losses.place_merit(weights, placebo="shuffle", seed=0)
    assert torch.equal(dealt.sort().values, weights.sort().values)
    assert not torch.equal(dealt.argsort()[:2].sort().values, torch.tensor([0, 1]))


def mean_over_classes(student, source, *, temperature):
    log_q = functional.log_softmax(student / temperature, 1)
    return functional.kl_div(
        log_q, functional.softmax(source / temperature, 1), reduction="none"
    ).mean(1) * (temperature**2)


def without_t_squared(student, source, *, temperature):
    log_q = functional.log_softmax(student / temperature, 1)
    return functional.kl_div(
        log_q, functional.softmax(source / temperature, 1), reduction="none"
    ).sum(1)


def cross_entropy_called_kl(student, source, *, temperature):
    log_q = functional.log_softmax(student / temperature, 1)
    return -(functional.softmax(source / temperature, 1) * log_q).sum(1) * temperature**2


def soft_that_trains_the_source(student, source, *, temperature):
    log_p = functional.log_softmax(source / temperature, 1)
    log_q = functional.log_softmax(student / temperature, 1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def hint_that_trains_the_source(student, source, *, scale="none"):
    return (student - source).square().flatten(1).mean(1)


def hint_summed_over_elements(student, source, *, scale="none"):
    return (student - source.detach()).square().flatten(1).sum(1)


def hint_deaf_to_scale(student, source, *, scale="none"):
    return (student - source.detach()).square().flatten(1).mean(1)


def merit_turned_round(source_logits, labels, *, rule, weight=0.5, increment=0.1, temperature=1):
    right = source_logits.argmax(1) == labels
    return torch.where(right, weight - increment, weight + increment)


TRAPS = {
    "mean units": (check_soft_unit, "kl_loss", mean_over_classes),
    "no T squared": (check_soft_unit, "kl_loss", without_t_squared),
    "a cross-entropy called KL": (check_soft_unit, "kl_loss", cross_entropy_called_kl),
    "soft trains the source": (check_source_is_constant, "kl_loss", soft_that_trains_the_source),
    "hint trains the source": (check_source_is_constant, "mse_loss", hint_that_trains_the_source),
    "hint summed": (check_hint_is_per_element, "mse_loss", hint_summed_over_elements),
    "hint unscaled": (check_unit_scale_levels_layers, "mse_loss", hint_deaf_to_scale),
    "merit turned round": (
        check_merit_trusts_the_right_source_more,
        "merit_weights",
        merit_turned_round,
    ),
    "mean placebo keeps the base weight": (
        check_matched_mean_shows_that_delta_is_nearly_constant,
        "place_merit",
        lambda weights, *, placebo, seed: torch.full_like(weights, 0.5),
    ),
    "shuffle does nothing": (
        check_shuffle_unlinks_weights_from_samples,
        "place_merit",
        lambda weights, *, placebo, seed: weights,
    ),
}


@pytest.mark.parametrize(("check", "name", "broken"), TRAPS.values(), ids=TRAPS)
def test_a_trap_is_kept_shut_and_its_check_sees_it_open(check, name, broken, monkeypatch):
    check()
    monkeypatch.setattr(losses, name, broken)
    with pytest.raises(AssertionError, match=r"."):
        check()
