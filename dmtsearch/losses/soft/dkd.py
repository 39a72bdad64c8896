"""Decoupled distillation: the true class, and the others among themselves, each with a weight."""

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import UsageError
from ..inputs import refuse_unlabelled, refuse_unlike, widened


def dkd_loss(
    student: Tensor,
    source: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    alpha: float = 1.0,
    beta: float = 8.0,
) -> Tensor:
    """T^2 times (alpha TCKD + beta NCKD), with p and q the softened outputs of source and student.

    TCKD is the divergence KL(b_p || b_q) of (p_y, 1 - p_y), the true class y against the rest.
    NCKD is KL(p' || q'), with p' and q' softened over the other classes alone. The usual soft
    loss is TCKD + (1 - p_y) NCKD: a source that is sure of y hardly teaches its other classes.

    Args:
        student: Outputs of the model in training, shape [B, K], any float type.
        source: Outputs of its source (teacher), same shape; held constant.
        labels: Classes y from 0 to K - 1, shape [B].
        temperature: T > 0.
        alpha, beta: Weights of the two parts.

    Returns:
        One value per sample, shape [B], in nats, float32 (float64 for float64 logits). Zero for
        equal logits.

    Raises:
        ShapeError: The shapes do not belong together.
        UsageError: The temperature is not above 0.

    References:
        Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, eq. 7
        (https://arxiv.org/abs/2203.08679); T^2 and the defaults are of the authors' code. Their
        code raises the weight of its loss over the first epochs (warm-up); ours does not.
    """
    if not temperature > 0:
        raise UsageError(f"soft.temperature is {temperature}; it must be above 0")
    refuse_unlike("logits", student, source, "student and source need the same classes")
    refuse_unlabelled(student, labels)
    of_q, others_q = _parts(widened(student) / temperature, labels)
    of_p, others_p = _parts(widened(source.detach()) / temperature, labels)
    target = _divergence(of_q, of_p)
    others = _divergence(others_q, others_p)
    return (alpha * target + beta * others) * temperature**2


def _parts(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of (p_y, 1 - p_y), [B, 2], and of p over the other classes alone, [B, K - 1]."""
    is_other = torch.ones_like(logits, dtype=torch.bool).scatter(1, labels[:, None], False)
    others = logits[is_other].view(len(logits), -1)
    log_p = functional.log_softmax(logits, dim=1)
    of_label = log_p.gather(1, labels[:, None]).squeeze(1)
    rest = torch.logsumexp(others, dim=1) - torch.logsumexp(logits, dim=1)
    return torch.stack([of_label, rest], dim=1), functional.log_softmax(others, dim=1)


def _divergence(log_q: Tensor, log_p: Tensor) -> Tensor:
    # Rounding can leave -1e-8 where the two agree; clamping keeps NaN.
    found = functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
    return found.clamp(min=0.0)
