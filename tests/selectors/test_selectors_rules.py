"""What a selector reads, and every way to decide without one: by hand and by a second hand."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dmtsearch.schedule import Select
from dmtsearch.selectors import (
    decide,
    fusion_rules,
    mean_interval,
    moments_of,
    selector_features,
    selector_inputs,
    targets_of,
)


def drawn(n=40, modalities=3, classes=5, seed=0, scale=3.0):
    chance = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, modalities, classes, generator=chance)


# -- features ----------------------------------------------------------------------------------

LN = math.log
TWO = torch.tensor([[[LN(6), LN(3), LN(1)], [LN(1), LN(2), LN(2)]]])
"""One sample, two modalities: p = (.6, .3, .1), sum of exponents 10; and (.2, .4, .4), sum 5."""


def test_topk_is_the_largest_probabilities_sorted_side_by_side():
    found = selector_inputs(TWO, inputs="topk", k=2)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.3, 0.4, 0.4]]))


def test_topk_carries_no_identity():
    logits = drawn(1)
    turned = logits[:, :, [3, 0, 4, 1, 2]]
    torch.testing.assert_close(
        selector_inputs(logits, inputs="topk", k=5), selector_inputs(turned, inputs="topk", k=5)
    )


def test_posterior_and_logits_stand_by_class():
    posterior = selector_inputs(TWO, inputs="posterior", k=None)
    torch.testing.assert_close(posterior, torch.tensor([[0.6, 0.3, 0.1, 0.2, 0.4, 0.4]]))
    torch.testing.assert_close(selector_inputs(TWO, inputs="logits", k=None), TWO.flatten(1))


def test_moments_by_hand():
    # max, margin, entropy, energy. -(.6 ln .6 + .3 ln .3 + .1 ln .1) = .8979; -ln 10.
    torch.testing.assert_close(
        moments_of(TWO)[0],
        torch.tensor([[0.6, 0.3, 0.8979457, -LN(10)], [0.4, 0.0, 1.0549202, -LN(5)]]),
    )


def test_moments_by_scipy():
    logits = drawn(50, 2, 7).double()
    p = softmax(logits.numpy(), axis=-1)
    ordered = np.sort(p, axis=-1)
    expected = np.stack(
        [
            ordered[..., -1],
            ordered[..., -1] - ordered[..., -2],
            entropy(p, axis=-1),
            -logsumexp(logits.numpy(), axis=-1),
        ],
        axis=-1,
    )
    np.testing.assert_allclose(moments_of(logits).numpy(), expected, rtol=1e-10)


def test_a_classifier_that_is_quite_sure_has_no_entropy_and_not_nan():
    sure = torch.tensor([[900.0, 0.0, -900.0]])
    torch.testing.assert_close(moments_of(sure)[0, 2], torch.tensor(0.0))


@pytest.mark.parametrize("inputs", ["topk", "posterior", "logits", "moments"])
def test_the_planned_shape_is_what_is_read(inputs):
    select = Select(("a", "b", "c"), inputs=inputs, k=4 if inputs == "topk" else None)
    found = selector_inputs(drawn(), inputs=inputs, k=select.k)
    assert tuple(found.shape[1:]) == selector_features(select, 5)
    assert found.dtype == torch.float32


# -- targets -----------------------------------------------------------------------------------

RIGHT = torch.tensor(
    [
        [[9.0, 0, 0], [0, 9, 0]],  # label 0: only the first is right
        [[9.0, 0, 0], [9, 0, 0]],  # label 0: both
        [[9.0, 0, 0], [0, 9, 0]],  # label 2: none
        [[9.0, 0, 0], [0, 9, 0]],  # label 1: only the second
    ]
)


def test_the_target_right_weighs_only_samples_with_exactly_one_right():
    found = targets_of(
        torch.zeros(4, dtype=torch.long), RIGHT, torch.tensor([0, 0, 2, 1]), target="right"
    )
    assert found.tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]


def test_the_target_undegraded_is_shared_by_all_that_are():
    two = targets_of(torch.tensor([0, 1]), RIGHT[:2], torch.tensor([0, 0]), target="undegraded")
    assert two.tolist() == [[0, 1], [1, 0]]
    three = targets_of(torch.tensor([1]), drawn(1), torch.tensor([0]), target="undegraded")
    assert three.tolist() == [[0.5, 0, 0.5]]


# -- decisions ---------------------------------------------------------------------------------


def test_a_hard_decision_is_the_selected_classifiers_and_the_first_of_equals():
    prediction = decide(torch.tensor([[0.0, 1.0], [2.0, 2.0]]), RIGHT[:2], decision="hard")
    assert prediction.selected.tolist() == [1, 0]
    assert prediction.log_probs.argmax(1).tolist() == [1, 0]
    torch.testing.assert_close(
        prediction.selector_probs[1], torch.tensor([0.5, 0.5], dtype=torch.float64)
    )


def test_a_soft_decision_mixes_probabilities_by_the_softmax():
    # Weights 1/4 and 3/4: .25 (.6, .3, .1) + .75 (.2, .4, .4).
    scores = torch.tensor([[0.0, LN(3)]])
    prediction = decide(scores, TWO, decision="soft")
    expected = torch.tensor([[0.3, 0.375, 0.325]], dtype=torch.float64)
    torch.testing.assert_close(prediction.log_probs.exp(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("decision", ["hard", "soft"])
def test_an_absent_modality_is_never_selected_and_has_no_share(decision):
    scores = torch.tensor([[5.0, 0.0]])
    present = torch.tensor([[False, True]])
    prediction = decide(scores, TWO, decision=decision, present=present)
    assert prediction.selected.tolist() == [1]
    assert prediction.selector_probs.tolist() == [[0.0, 1.0]]
    alone = torch.tensor([[0.2, 0.4, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(prediction.log_probs.exp(), alone, atol=1e-6, rtol=0)


# -- rules -------------------------------------------------------------------------------------


def test_rules_that_believe_one_modality_by_numpy():
    logits = drawn(200, 3, 6)
    z = logits.double().numpy()
    p = softmax(z, axis=-1)
    ordered = np.sort(p, axis=-1)
    expected = {
        "max_softmax": p.max(-1).argmax(1),
        "margin": (ordered[..., -1] - ordered[..., -2]).argmax(1),
        "entropy": entropy(p, axis=-1).argmin(1),
        "energy": logsumexp(z, axis=-1).argmax(1),
    }
    for name, selected in expected.items():
        prediction = getattr(fusion_rules, name)(logits)
        assert prediction.selected.tolist() == selected.tolist(), name
        chosen = log_softmax(z, axis=-1)[np.arange(200), selected]
        np.testing.assert_allclose(prediction.log_probs.numpy(), chosen, atol=1e-12)
    assert len({tuple(selected) for selected in expected.values()}) == 4, "they differ here"


def test_sum_and_product_rule_by_hand():
    # Sum: the mean of the rows. Product: (.12, .12, .04) / .28.
    summed, product = fusion_rules.sum_rule(TWO), fusion_rules.product_rule(TWO)
    rows = [[0.4, 0.35, 0.25]], [[3 / 7, 3 / 7, 1 / 7]]
    for prediction, expected in zip((summed, product), rows, strict=True):
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(prediction.log_probs.exp(), expected, atol=1e-6, rtol=0)
        assert prediction.selected is None


def test_the_oracle_believes_one_that_is_right_wherever_there_is_one():
    labels = torch.tensor([0, 0, 2, 1])
    prediction = fusion_rules.oracle(RIGHT, labels)
    assert (prediction.log_probs.argmax(1) == labels).tolist() == [True, True, False, True]
    assert prediction.selected.tolist() == [0, 0, 0, 1]


def test_one_modality_alone():
    assert fusion_rules.alone(TWO, 1).selected.tolist() == [1]


# -- fitted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.4, 1.0, 6.0])
def test_a_temperature_is_the_one_of_scipys_search(scale):
    chance = torch.Generator().manual_seed(1)
    true = torch.randn(2000, 4, generator=chance) * 1.5
    labels = torch.distributions.Categorical(logits=true).sample()
    logits = scale * true

    def nll(temperature):
        z = log_softmax(logits.double().numpy() / temperature, axis=1)
        return -z[np.arange(2000), labels.numpy()].mean()

    expected = minimize_scalar(nll, bounds=fusion_rules.TEMPERATURES, method="bounded").x
    found = fusion_rules.fit_temperature(logits, labels)
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_classifier_that_is_never_wrong_gets_the_lowest_temperature_and_chance_the_highest():
    eye = torch.eye(4).repeat(5, 1)
    labels = torch.arange(4).repeat(5)
    low, high = fusion_rules.TEMPERATURES
    assert fusion_rules.fit_temperature(eye, labels) == pytest.approx(low, rel=1e-3)
    assert fusion_rules.fit_temperature(eye, (labels + 1) % 4) == pytest.approx(high, rel=1e-3)


def test_temperatures_scale_each_modality_by_its_own():
    # Halved, the first is less sure than the second: softmax (1, 0) .73 against (1.5, 0) .82.
    logits = torch.tensor([[[2.0, 0.0], [1.5, 0.0]]])
    assert fusion_rules.max_softmax(logits).selected.tolist() == [0]
    rule = fusion_rules.scaled([2.0, 1.0], fusion_rules.max_softmax)
    assert rule(logits).selected.tolist() == [1]


@pytest.mark.parametrize("classes", [2, 4])
def test_stacking_is_scikit_learns_logistic_regression(classes):
    logits = drawn(300, 2, classes)
    labels = (logits[:, 0] + 0.5 * logits[:, 1]).argmax(1)
    features = np.clip(log_softmax(logits.double().numpy(), axis=-1), -27.6, None)
    features = StandardScaler().fit_transform(features.reshape(300, -1))
    model = LogisticRegression(max_iter=200).fit(features, labels)
    prediction = fusion_rules.fit_stacking(logits, labels)(logits)
    expected = model.predict_log_proba(features)
    np.testing.assert_allclose(prediction.log_probs.numpy(), expected, atol=1e-6)


def test_stacking_never_answers_a_class_that_it_has_not_met():
    logits = drawn(60, 2, 4)
    labels = torch.arange(60) % 3
    prediction = fusion_rules.fit_stacking(logits, labels)(logits)
    assert bool((prediction.log_probs[:, 3] == float("-inf")).all())
    assert set(prediction.log_probs.argmax(1).tolist()) <= {0, 1, 2}


def test_stacking_that_would_take_too_long_is_missing_with_its_reason(monkeypatch):
    monkeypatch.setattr("dmtsearch.selectors.fusion_rules.STACKING_CELLS", 100)
    logits, labels = drawn(60, 2, 4), torch.arange(60) % 4
    found = fusion_rules.fit_rules(logits, labels, ["a", "b"])
    assert found.missing == {
        "stacking": "60 rows of 8 features in 4 classes are too many to fit in passing"
    }
    assert "stacking" not in found.methods
    assert list(found.methods)[:3] == ["only_a", "only_b", "max_softmax"]


# -- intervals ---------------------------------------------------------------------------------


def test_the_interval_of_a_mean_counts_samples_and_not_conditions():
    right = torch.tensor([[True, False, True, False]])
    once, often = mean_interval(right), mean_interval(right.repeat(10, 1))
    assert once == pytest.approx(often)
    # By hand: mean .5, sd of (1, 0, 1, 0) is sqrt(1/3), over sqrt(4).
    half = 1.959964 * math.sqrt(1 / 3) / 2
    assert once == pytest.approx((max(0, 0.5 - half), min(1, 0.5 + half)))
