"""The loss towards the labels."""

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch.nn import functional

from dmtsearch.errors import ShapeError
from dmtsearch.losses import hard_loss


def test_hard_loss_by_hand():
    # Softmax of [ln 3, 0] is [3/4, 1/4].
    values = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]])
    expected = torch.tensor([math.log(4 / 3), math.log(4)])
    torch.testing.assert_close(hard_loss(values, torch.tensor([0, 1])), expected)


def test_smoothed_hard_loss_by_hand():
    # Smoothing 0.2 over two classes makes the target [0.9, 0.1].
    expected = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    value = hard_loss(torch.tensor([[math.log(3), 0.0]]), torch.tensor([0]), smoothing=0.2)
    torch.testing.assert_close(value, torch.tensor([expected]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_hard_loss_equals_scipys_log_softmax_against_the_smoothed_target(logits, smoothing):
    student, _, labels = logits
    target = np.eye(4)[labels.numpy()] * (1 - smoothing) + smoothing / 4
    expected = -(target * log_softmax(student.numpy(), axis=1)).sum(axis=1)
    ours = hard_loss(student, labels, smoothing=smoothing)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


def test_the_mean_of_hard_loss_is_torchs_cross_entropy(logits):
    student, _, labels = logits
    torch.testing.assert_close(
        hard_loss(student, labels, smoothing=0.1).mean(),
        functional.cross_entropy(student, labels, label_smoothing=0.1),
    )


def test_hard_loss_refuses_the_label_that_torch_would_skip_in_silence():
    with pytest.raises(IndexError, match="Target -100 is out of bounds"):
        hard_loss(torch.zeros(1, 3), torch.tensor([-100]))


@pytest.mark.parametrize(
    ("shape", "labels"), [((2, 3), (3,)), ((2, 3, 1), (2,)), ((2, 3), (2, 1))]
)
def test_hard_loss_refuses_shapes_that_do_not_belong_together(shape, labels):
    with pytest.raises(ShapeError, match=r"logits .* and labels .* do not belong together"):
        hard_loss(torch.zeros(shape), torch.zeros(labels, dtype=torch.int64))
