"""A selector minus each other method, by what is degraded: paired over the samples, by hand."""

import math

import pytest
import torch

from dmtsearch.selectors import (
    SweepCondition,
    SweepOutputs,
    difference_interval,
    list_conditions,
    score_methods,
    select_modality,
    unfitted_rules,
)


def test_the_interval_of_a_difference_is_paired_over_samples():
    mine = torch.tensor([[True, True, True, False], [True, True, False, False]])
    theirs = torch.tensor([[True, False, True, False], [False, False, False, False]])
    # By hand: samples differ by (.5, 1, 0, 0); mean .375, sd sqrt(.6875 / 3), over sqrt(4).
    half = 1.959964 * math.sqrt(0.6875 / 3) / 2
    assert difference_interval(mine, theirs) == pytest.approx((0.375, 0.375 - half, 0.375 + half))


def test_equal_methods_differ_by_nothing_and_one_sample_says_nothing():
    right = torch.tensor([[True, False, True]])
    assert difference_interval(right, right) == (0.0, 0.0, 0.0)
    assert difference_interval(right[:, :1], right[:, 1:2]) == (1.0, -1.0, 1.0)


def answers(*classes):
    """Logits [N, M, 2] of classifiers that answer the given classes, a row a sample."""
    return 4.0 * torch.nn.functional.one_hot(torch.tensor(classes), 2).float()


@pytest.fixture
def found():
    """Four samples of class 0; `a` errs on the last, and on the first two when degraded."""
    clean = answers([0, 0], [0, 0], [0, 1], [1, 0])
    degraded = answers([1, 0], [1, 1], [0, 1], [1, 1])
    severities = {("noise", severity): degraded for severity in (0.25, 0.5, 0.75, 1.0)}
    conditions = list_conditions({"noise": (0, 1)}, ["noise"], 2)
    conditions = (*conditions, SweepCondition("blur", 1.0, (0,), seen=False))
    outputs = SweepOutputs(conditions, torch.zeros(4).long(), clean,
                           {**severities, ("blur", 1.0): degraded})  # fmt: skip
    second = believes(1)
    return score_methods(outputs, second, unfitted_rules({"a": 1.0, "b": 1.0}, {}), ["a", "b"])


def believes(position):
    return lambda logits: select_modality(logits, torch.full((len(logits),), position))


def test_groups_are_all_seen_conditions_and_then_each_set_of_degraded_modalities(found):
    groups = [(one["degraded"], one["n"], one["conditions"]) for one in found["groups"]]
    assert groups == [
        (None, 4, 13), ([], 4, 1), (["a"], 4, 4), (["b"], 4, 4), (["a", "b"], 4, 4),
    ]  # fmt: skip


def test_the_selector_minus_a_method_is_told_for_each_group(found):
    groups = {tuple(one["degraded"]): one["methods"] for one in found["groups"][1:]}
    # It always selects b, which is right on 3 of 4 clean samples and on 1 of 4 degraded ones; a on
    # 3 and on 1 too. With a alone degraded the samples differ by (1, 1, -1, 1): mean .5, sd 1.
    only_a = groups["a",]["only_a"]
    assert only_a["accuracy"] == 0.25
    assert only_a["selector_minus"] == 0.5
    assert only_a["minus_low"] == pytest.approx(0.5 - 1.959964 / 2)
    assert only_a["minus_high"] == 1.0
    assert groups["a", "b"]["only_a"]["selector_minus"] == 0.0
    assert groups["b",]["only_b"]["selector_minus"] == 0.0
    assert set(groups["a",]["selector"]) == {"accuracy", "low", "high"}


def test_the_group_of_all_conditions_agrees_with_the_methods(found):
    everything = found["groups"][0]["methods"]
    for name, one in found["methods"].items():
        for field in ("accuracy", "low", "high"):
            assert everything[name][field] == pytest.approx(one[field], abs=1e-12), name
