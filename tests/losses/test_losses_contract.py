"""What every loss promises, checked for every row of explicit tables."""

import pytest
import torch

from dmtsearch import losses
from dmtsearch.names import HINT_LOSSES, SOFT_LOSSES
from dmtsearch.schedule.blocks import FORMS

PAIRED = {
    "soft": lambda student, source: losses.soft_loss(student, source, temperature=4.0),
    "soft, standardised": lambda student, source: losses.soft_loss(
        losses.standardise(student), losses.standardise(source), temperature=4.0
    ),
    "dkd": lambda student, source: losses.dkd_loss(
        student, source, torch.zeros(len(student), dtype=torch.long), temperature=4.0
    ),
    "dist": lambda student, source: losses.dist_loss(student, source, temperature=4.0),
    "attention": lambda student, source: losses.attention_loss(
        student.reshape(-1, 1, 2, 2), source.reshape(-1, 1, 2, 2)
    ),
    "hint": lambda student, source: losses.hint_loss(student, source),
    "hint, unit scale": lambda student, source: losses.hint_loss(student, source, scale="unit"),
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
INDEPENDENT = {
    name: PAIRED[name] for name in ("soft", "soft, standardised", "hint", "dkd", "attention")
}

paired = pytest.mark.parametrize("loss", PAIRED.values(), ids=PAIRED)
labelled = pytest.mark.parametrize("loss", LABELLED.values(), ids=LABELLED)
merits = pytest.mark.parametrize("merit", MERITS.values(), ids=MERITS)


def test_the_names_that_a_schedule_takes_are_the_rows_of_the_tables():
    assert set(SOFT_LOSSES) == set(losses.SOFT_LOSSES) == set(FORMS["soft"].classes)
    assert set(HINT_LOSSES) == set(losses.HINT_LOSSES)


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
