"""Distillation by correlation: relations between classes and between samples, not values."""

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UsageError
from ..inputs import refuse_unlike, widened

_EPS = 1e-16
"""Added to sums of squares, so that what does not vary gives zeros and finite gradients."""


def dist_loss(
    student: Tensor,
    source: Tensor,
    *,
    temperature: float,
    beta: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """T^2 times (beta inter + gamma intra), of the softened outputs of student and source.

    inter is 1 - Pearson's r between the two rows of a sample, over the classes. intra is 1 - r
    between the two columns of a class, over the batch, averaged over the classes.

    intra belongs to the batch. It is dealt to the samples by the identity
    1 - r = 1/2 sum over i of (u_i - v_i)^2, with u and v the columns with mean 0 and norm 1: a
    sample's value is B times its own summand, so that the mean over the batch is the paper's
    loss, and merit weighs what the sample itself adds. A sample's value depends on its batch.

    Args:
        student: Outputs of the model in training, shape [B, K], any float type.
        source: Outputs of its source (teacher), same shape; held constant.
        temperature: T > 0.
        beta, gamma: Weights of inter and intra.

    Returns:
        One value per sample, shape [B], float32 (float64 for float64 logits). Zero for equal
        logits.

    Raises:
        ShapeError: The shapes differ.
        UsageError: The temperature is not above 0.

    References:
        Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, eq. 6 to 9
        (https://arxiv.org/abs/2205.10536); T^2 and the defaults are of the authors' code. Rows
        or columns that do not vary in both models cost 0 here, 1 there; their code adds 1e-8 to
        the product of the norms, which damps classes of small probabilities; ours 1e-16 to sums
        of squares.
    """
    if not temperature > 0:
        raise UsageError(f"soft.temperature is {temperature}; it must be above 0")
    refuse_unlike("logits", student, source, "student and source need the same classes")
    q = functional.softmax(widened(student) / temperature, dim=1)
    p = functional.softmax(widened(source.detach()) / temperature, dim=1)
    inter = (_unit(q, dim=1) - _unit(p, dim=1)).square().sum(dim=1) / 2
    intra = (_unit(q, dim=0) - _unit(p, dim=0)).square().mean(dim=1) * len(q) / 2
    return (beta * inter + gamma * intra) * temperature**2


def _unit(values: Tensor, *, dim: int) -> Tensor:
    """With mean 0 and norm 1 along `dim`."""
    centred = values - values.mean(dim=dim, keepdim=True)
    return centred * torch.rsqrt(centred.square().sum(dim=dim, keepdim=True) + _EPS)
