"""Merit's rules and placebos."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.losses import (
    PLACEBOS,
    matched_mean,
    merit_weights,
    place_merit,
    shuffled,
)

SOURCE = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5]])
LABELS = torch.tensor([0, 2, 0])  # the source is right, wrong, right


@pytest.mark.parametrize(
    ("rule", "settings", "expected"),
    [
        pytest.param("delta", {"increment": 0.1}, [0.6, 0.4, 0.6], id="delta of the paper"),
        pytest.param(
            "delta", {"weight": 0.3, "increment": 0.3}, [0.6, 0.0, 0.6], id="delta to the edge"
        ),
        pytest.param("hard", {}, [0.5, 0.0, 0.5], id="hard of the authors' code"),
        pytest.param("hard", {"weight": 0.9}, [0.9, 0.0, 0.9], id="hard with another weight"),
    ],
)
def test_merit_weights_by_hand(rule, settings, expected):
    weights = merit_weights(SOURCE, LABELS, rule=rule, **settings)
    torch.testing.assert_close(weights, torch.tensor(expected))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_merit_is_scipys_softened_probability_of_the_true_class(temperature):
    expected = softmax(SOURCE.numpy() / temperature, axis=1)[[0, 1, 2], LABELS.numpy()]
    weights = merit_weights(SOURCE, LABELS, rule="soft", temperature=temperature)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-6)


def test_right_or_wrong_agrees_with_numpys_argmax(logits):
    _, source, labels = logits
    right = source.numpy().argmax(axis=1) == labels.numpy()
    weights = merit_weights(source, labels, rule="delta", weight=0.4, increment=0.2)
    np.testing.assert_allclose(weights.numpy(), np.where(right, 0.6, 0.2), rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "increment", "value"), [(0.5, 0.6, "1.1"), (0.2, 0.3, "-0.1"), (0.2, -0.3, "-0.1")]
)
def test_delta_refuses_an_increment_that_leaves_the_range(weight, increment, value):
    with pytest.raises(UsageError, match=rf"the weight {value}; it must lie in \[0, 1\]"):
        merit_weights(SOURCE, LABELS, rule="delta", weight=weight, increment=increment)


def test_hard_refuses_a_weight_outside_the_range():
    with pytest.raises(UsageError, match=r"soft.weight 1.5 gives a sample the weight 1.5"):
        merit_weights(SOURCE, LABELS, rule="hard", weight=1.5)


def test_soft_refuses_a_temperature_of_zero():
    with pytest.raises(UsageError, match=r"soft.temperature is 0; it must be above 0"):
        merit_weights(SOURCE, LABELS, rule="soft", temperature=0)


def test_an_unknown_rule_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="no rule 'delt'; did you mean 'delta'"):
        merit_weights(SOURCE, LABELS, rule="delt")


def test_delta_needs_an_increment():
    with pytest.raises(UsageError, match=r"merit.increment needs a number under rule 'delta'"):
        merit_weights(SOURCE, LABELS, rule="delta")


def test_an_increment_without_effect_is_refused():
    with pytest.raises(UsageError, match=r"increment is 0.1, but has no effect under rule 'hard'"):
        merit_weights(SOURCE, LABELS, rule="hard", increment=0.1)


def test_merit_refuses_labels_of_another_batch():
    with pytest.raises(ShapeError, match="do not belong together"):
        merit_weights(SOURCE, LABELS[:2], rule="hard")


def test_matched_mean_is_the_constant_mean_by_hand():
    # (0.6 + 0.4 + 0.6) / 3
    value = matched_mean(torch.tensor([0.6, 0.4, 0.6]))
    torch.testing.assert_close(value, torch.full((3,), 1.6 / 3))


def test_matched_mean_is_exact_over_a_large_train_set():
    weights = torch.cat([torch.full((599_000,), 0.6), torch.full((1_000,), 0.4)])
    expected = weights.numpy().astype(np.float64).mean()
    assert float(matched_mean(weights)[0]) == pytest.approx(expected, rel=1e-7)


def test_shuffled_keeps_the_weights_and_moves_them():
    weights = torch.arange(100) / 100
    dealt = shuffled(weights, seed=1)
    assert torch.equal(dealt.sort().values, weights)
    assert (dealt == weights).sum() < 10


def test_shuffled_depends_on_its_seed_alone():
    weights = torch.arange(100) / 100
    torch.manual_seed(5)
    first = shuffled(weights, seed=1)
    torch.manual_seed(6)
    assert torch.equal(shuffled(weights, seed=1), first)
    assert not torch.equal(shuffled(weights, seed=2), first)


@pytest.mark.parametrize("placebo", PLACEBOS)
@pytest.mark.parametrize(("value", "told"), [(1.2, "1.2"), (-0.1, "-0.1"), (float("nan"), "nan")])
def test_every_placebo_refuses_a_weight_outside_the_range(placebo, value, told):
    weights = torch.tensor([0.5, value, 0.5])
    with pytest.raises(UsageError, match=f"merit gives sample 1 the weight {told}"):
        place_merit(weights, placebo=placebo, seed=0)


def test_place_merit_is_the_named_placebo():
    weights = torch.tensor([0.6, 0.4, 0.5, 0.1])
    assert torch.equal(place_merit(weights, placebo="none", seed=3), weights)
    assert torch.equal(place_merit(weights, placebo="mean", seed=3), matched_mean(weights))
    assert torch.equal(place_merit(weights, placebo="shuffle", seed=3), shuffled(weights, seed=3))


def test_an_unknown_placebo_is_refused():
    with pytest.raises(UsageError, match="no placebo 'shufle'; did you mean 'shuffle'"):
        place_merit(torch.tensor([0.5]), placebo="shufle", seed=0)
