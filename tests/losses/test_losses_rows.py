"""DKD, DIST and attention transfer: numbers by hand, and against the papers' formulas in numpy."""

import math

import numpy as np
import pytest
import torch

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.losses import attention_loss, dist_loss, dkd_loss, kl_loss


def softmax(z, temperature):
    e = np.exp(z / temperature - (z / temperature).max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def kl(p, q):
    return float((p * np.log(p / q)).sum())


def pearson(a, b):
    return float(np.corrcoef(a, b)[0, 1])


# -- DKD ---------------------------------------------------------------------------------------


def test_dkd_of_two_samples_by_hand():
    # Softened outputs: source (1/2, 1/4, 1/4), student (1/4, 1/4, 1/2); label 0, then label 1.
    source = torch.tensor([[0.5, 0.25, 0.25]] * 2, dtype=torch.float64).log()
    student = torch.tensor([[0.25, 0.25, 0.5]] * 2, dtype=torch.float64).log()
    labels = torch.tensor([0, 1])
    # Label 0: (1/2, 1/2) from (1/4, 3/4), and (1/2, 1/2) from (1/3, 2/3).
    first = 0.5 * math.log(2) + 0.5 * math.log(2 / 3), 0.5 * math.log(1.5) + 0.5 * math.log(0.75)
    # Label 1: both give it 1/4; and (2/3, 1/3) from (1/3, 2/3).
    second = 0.0, 2 / 3 * math.log(2) - 1 / 3 * math.log(2)
    found = dkd_loss(student, source, labels, temperature=1.0, alpha=3.0, beta=5.0)
    wanted = [3 * target + 5 * others for target, others in (first, second)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


def test_dkd_equals_a_second_implementation_from_the_paper(logits):
    student, source, labels = logits
    found = dkd_loss(student, source, labels, temperature=3.0, alpha=0.5, beta=2.0)
    p, q = (softmax(z.numpy(), 3.0) for z in (source, student))
    for i, y in enumerate(labels.tolist()):
        pair = np.array([p[i, y], 1 - p[i, y]]), np.array([q[i, y], 1 - q[i, y]])
        others = [np.delete(one[i], y) / (1 - one[i, y]) for one in (p, q)]
        wanted = 9.0 * (0.5 * kl(*pair) + 2.0 * kl(*others))
        assert found[i].item() == pytest.approx(wanted, rel=1e-9)


def test_kl_is_the_target_s_part_and_the_others_weighed_by_how_unsure_the_source_is(logits):
    student, source, labels = logits
    target = dkd_loss(student, source, labels, temperature=2.0, alpha=1.0, beta=0.0)
    others = dkd_loss(student, source, labels, temperature=2.0, alpha=0.0, beta=1.0)
    p = torch.softmax(source / 2, dim=1).gather(1, labels[:, None]).squeeze(1)
    torch.testing.assert_close(
        target + (1 - p) * others, kl_loss(student, source, temperature=2.0)
    )


def test_dkd_stays_finite_where_the_source_is_sure_of_the_label():
    source = torch.tensor([[200.0, 0.0, 0.0]])
    student = torch.tensor([[0.0, 300.0, 0.0]], requires_grad=True)
    loss = dkd_loss(student, source, torch.tensor([0]), temperature=1.0)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


# -- DIST --------------------------------------------------------------------------------------


def test_dist_of_the_batch_equals_a_second_implementation_from_the_paper(logits):
    student, source, _ = logits
    found = dist_loss(student, source, temperature=2.0, beta=0.5, gamma=3.0)
    p, q = (softmax(z.numpy(), 2.0) for z in (source, student))
    inter = [1 - pearson(p[i], q[i]) for i in range(6)]
    intra = [1 - pearson(p[:, j], q[:, j]) for j in range(4)]
    wanted = 4.0 * (0.5 * np.mean(inter) + 3.0 * np.mean(intra))
    assert found.mean().item() == pytest.approx(wanted, rel=1e-9)
    alone = dist_loss(student, source, temperature=2.0, beta=1.0, gamma=0.0)
    assert alone.numpy() == pytest.approx(4.0 * np.array(inter), rel=1e-9)


def test_dist_by_hand():
    # Two classes, so rows correlate by 1 or -1; both columns of the batch are turned around.
    student, source = (
        torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        torch.tensor([[0.0, 2.0], [2.0, 0.0]]),
    )
    # 1 - (-1) = 2 for each row and for each column.
    found = dist_loss(student, source, temperature=1.0, beta=1.0, gamma=10.0)
    torch.testing.assert_close(found, torch.tensor([22.0, 22.0]))


def test_dist_does_not_see_how_sharp_the_source_is_between_two_classes(logits):
    student = torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.5, 0.0]])
    inter = dist_loss(student, 2 * student, temperature=1.0, gamma=0.0)
    torch.testing.assert_close(inter, torch.zeros(3), atol=1e-6, rtol=0)


def test_a_batch_of_one_and_constant_logits_have_a_finite_loss():
    student = torch.zeros(1, 3, requires_grad=True)
    loss = dist_loss(student, torch.tensor([[1.0, 2.0, 4.0]]), temperature=1.0)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert student.grad.isfinite().all()


# -- attention ---------------------------------------------------------------------------------


def test_attention_by_hand():
    # Squares, mean over channels: (3, 4) of norm 5 in one row, (4, 3) in the other.
    student = torch.tensor([[[[3.0, 4.0]], [[3.0, 4.0]]]]).sqrt()
    source = torch.tensor([[[[4.0, 3.0]]]]).sqrt()
    # (.6, .8) - (.8, .6): .04 + .04.
    torch.testing.assert_close(attention_loss(student, source), torch.tensor([0.08]))
    torch.testing.assert_close(attention_loss(3 * student, student), torch.zeros(1))


def test_maps_that_are_zero_have_a_finite_gradient():
    student = torch.zeros(2, 3, 2, 2, requires_grad=True)
    attention_loss(student, torch.rand(2, 5, 2, 2)).sum().backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 2, 3), (3, 3, 2, 2)])
def test_attention_refuses_what_are_no_two_maps_of_one_size(shape):
    with pytest.raises(ShapeError, match="attention needs two maps"):
        attention_loss(torch.rand(2, 3, 2, 2), torch.rand(shape))


@pytest.mark.parametrize(
    "loss", [dist_loss, lambda *z, **own: dkd_loss(*z, torch.zeros(2).long(), **own)]
)
def test_unlike_logits_and_no_temperature_are_refused(loss):
    with pytest.raises(ShapeError, match="student and source need the same classes"):
        loss(torch.rand(2, 3), torch.rand(2, 4), temperature=1.0)
    with pytest.raises(UsageError, match=r"soft\.temperature is 0; it must be above 0"):
        loss(torch.rand(2, 3), torch.rand(2, 3), temperature=0)
