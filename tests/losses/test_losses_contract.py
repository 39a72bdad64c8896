"""What every loss promises, checked for every row of explicit tables."""

from dataclasses import fields
from importlib import import_module
from inspect import signature

import pytest
import torch

from dmtsearch import losses
from dmtsearch.schedule import FORMS, HINT_LOSSES, SOFT_LOSSES


def named_soft(name):
    def loss(student, source):
        labels = torch.zeros(len(student), dtype=torch.long)
        return losses.SOFT_LOSSES[name](student, source, labels, temperature=4.0)

    return loss


def named_hint(name, scale="none"):
    def loss(student, source):
        maps = (values.reshape(-1, 1, 2, 2) for values in (student, source))
        return losses.HINT_LOSSES[name](*maps, scale=scale)

    return loss


PAIRED = {
    **{f"soft, {name}": named_soft(name) for name in losses.SOFT_LOSSES},
    "soft, standardised": lambda student, source: losses.kl_loss(
        losses.standardise(student), losses.standardise(source), temperature=4.0
    ),
    **{f"hint, {name}": named_hint(name) for name in losses.HINT_LOSSES},
    "hint, unit scale": named_hint("mse", "unit"),
}
LABELLED = {
    "hard": lambda student, labels: losses.hard_loss(student, labels),
    "hard, smoothed": lambda student, labels: losses.hard_loss(student, labels, smoothing=0.1),
}
MERITS = {
    "delta": lambda source, labels: losses.merit_weights(
        source, labels, rule="delta", increment=0.1
    ),
    "hard": lambda source, labels: losses.merit_weights(source, labels, rule="hard"),
    "soft": lambda source, labels: losses.merit_weights(
        source, labels, rule="soft", temperature=4.0
    ),
}
OF_THE_BATCH = ("soft, dist", "hint, unit scale")
"""Losses of a sample that depend on the other samples of its batch."""
INDEPENDENT = {name: loss for name, loss in PAIRED.items() if name not in OF_THE_BATCH}

paired = pytest.mark.parametrize("loss", PAIRED.values(), ids=PAIRED)
labelled = pytest.mark.parametrize("loss", LABELLED.values(), ids=LABELLED)
merits = pytest.mark.parametrize("merit", MERITS.values(), ids=MERITS)


def test_the_names_that_a_schedule_takes_are_the_files_of_the_losses():
    assert set(SOFT_LOSSES) == set(losses.SOFT_LOSSES) == set(FORMS["soft"].classes)
    assert set(HINT_LOSSES) == set(losses.HINT_LOSSES)


@pytest.mark.parametrize("name", SOFT_LOSSES)
def test_a_soft_loss_takes_the_fields_of_its_form(name, logits):
    common, form = fields(FORMS["soft"].others), fields(FORMS["soft"].classes[name])
    own = {one.name: 0.0 for one in form if one.name not in {one.name for one in common}}
    assert losses.SOFT_LOSSES[name](*logits, temperature=2.0, **own).shape == (6,)


@pytest.mark.parametrize("name", HINT_LOSSES)
def test_a_hint_loss_takes_the_scale_unless_its_row_says_that_it_has_no_use_for_it(name):
    function = getattr(import_module(f"{losses.hints.__name__}.{name}"), f"{name}_loss")
    assert ("scale" in signature(function).parameters) is ("scale" not in HINT_LOSSES[name])


def test_every_merit_rule_stands_in_the_table():
    assert set(MERITS) == set(losses.MERIT_RULES)


@paired
def test_a_paired_loss_gives_one_value_per_sample(loss, logits):
    student, source, _ = logits
    assert loss(student, source).shape == (6,)


@paired
def test_a_paired_loss_is_zero_for_equal_inputs_and_positive_otherwise(loss, logits):
    student, source, _ = logits
    assert torch.equal(loss(source, source), torch.zeros(6, dtype=torch.float64))
    assert (loss(student, source) > 0).all()


@paired
def test_a_source_gets_no_gradient(loss, logits):
    student, source = (values.requires_grad_() for values in logits[:2])
    loss(student, source).sum().backward()
    assert source.grad is None
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", INDEPENDENT.values(), ids=INDEPENDENT)
def test_dropping_a_sample_changes_no_other_value(loss, logits):
    student, source, _ = logits
    kept = torch.tensor([0, 2, 3, 5])
    torch.testing.assert_close(loss(student[kept], source[kept]), loss(student, source)[kept])


@paired
@pytest.mark.parametrize("side", [0, 1], ids=["in the student", "in the source"])
def test_a_nan_stays_visible(loss, logits, side):
    logits[side][2, 1] = float("nan")
    assert loss(*logits[:2])[2].isnan()


@paired
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(loss, logits, dtype):
    student, source = (values.to(dtype) for values in logits[:2])
    value = loss(student, source)
    assert value.dtype == torch.float32
    exact = loss(student.double(), source.double()).float()
    torch.testing.assert_close(value, exact, rtol=1e-5, atol=1e-6)


@paired
def test_a_paired_loss_has_the_gradient_of_its_value(loss, logits):
    student, source, _ = logits
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: loss(values, source), (student,))


@labelled
def test_a_labelled_loss_keeps_the_contract(loss, logits):
    student, _, labels = logits
    value = loss(student, labels)
    assert value.shape == (6,)
    kept = torch.tensor([1, 4])
    torch.testing.assert_close(loss(student[kept], labels[kept]), value[kept])
    assert loss(student.bfloat16(), labels).dtype == torch.float32
    student[3, 0] = float("nan")
    assert loss(student, labels)[3].isnan()


@labelled
def test_a_labelled_loss_has_the_gradient_of_its_value(loss, logits):
    student, _, labels = logits
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: loss(values, labels), (student,))


@merits
def test_a_merit_rule_keeps_the_contract(merit, logits):
    _, source, labels = logits
    source.requires_grad_()
    value = merit(source, labels)
    assert value.shape == (6,)
    assert not value.requires_grad
    assert ((value >= 0) & (value <= 1)).all()
    kept = torch.tensor([1, 4])
    torch.testing.assert_close(merit(source[kept], labels[kept]), value[kept])


@merits
def test_a_nan_output_gives_a_nan_weight_for_its_sample_alone(merit, logits):
    _, source, labels = logits
    source[2, 1] = float("nan")
    assert merit(source, labels).isnan().tolist() == [False, False, True, False, False, False]
