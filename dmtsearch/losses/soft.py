"""The loss towards a source's softened outputs (E_soft), and its units."""

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError
from .inputs import refuse_unlike, widened

_STANDARDISE_EPS = 1e-8
"""Added to the variance of the logits, so that constant logits give zeros and finite gradients."""


def soft_loss(student: Tensor, source: Tensor, *, temperature: float) -> Tensor:
    """T^2 times the Kullback-Leibler divergence of a student from its source, both softened.

    For each sample: T^2 * sum over classes of p log(p / q), with p = softmax(source / T) and
    q = softmax(student / T). Zero for equal logits, never below zero. The mean over the batch is
    what torch calls `batchmean`, times T^2.

    Args:
        student: Outputs of the model in training, shape [B, K], any float type.
        source: Outputs of its source, same shape; held constant.
        temperature: T > 0. The factor T^2 keeps the gradient's size about the same for all T.

    Returns:
        One value per sample, shape [B], in nats, float32 (float64 for float64 logits).

    Raises:
        ShapeError: The shapes differ: another number of classes, or another batch.
        UsageError: The temperature is not above 0.

    References:
        Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2
        (https://arxiv.org/abs/1503.02531). They use the cross-entropy between p and q; ours has
        p's entropy taken off, which changes no gradient and makes agreement cost 0.
    """
    if not temperature > 0:
        raise UsageError(f"soft.temperature is {temperature}; it must be above 0")
    refuse_unlike("logits", student, source, "student and source need the same classes")
    log_q = functional.log_softmax(widened(student) / temperature, dim=1)
    log_p = functional.log_softmax(widened(source.detach()) / temperature, dim=1)
    divergence = functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
    # Rounding can leave -1e-8 where the two agree; clamping keeps NaN.
    return divergence.clamp(min=0.0) * temperature**2


def standardise(logits: Tensor) -> Tensor:
    """Return each sample's logits with mean 0 and standard deviation 1 over its classes.

    Given to `soft_loss` for both student and source, the student need not match the source's
    range, only the shape of its outputs.

    Args:
        logits: Shape [B, K], any float type.

    Returns:
        Shape [B, K], float32 (float64 for float64 logits). Constant logits give zeros.

    References:
        Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024
        (https://arxiv.org/abs/2403.01427). Ours divides by the population's standard deviation
        (over K), so that the result's is exactly 1; the authors' code takes the sample's (over
        K - 1), so its logits are smaller by sqrt((K - 1) / K), 5 % for 10 classes. Ours adds 1e-8
        to the variance, the code 1e-7 to the deviation, whose gradient is NaN for constant
        logits. The paper's base temperature is the `temperature` of `soft_loss`.
    """
    wide = widened(logits)
    variance, mean = torch.var_mean(wide, dim=1, keepdim=True, correction=0)
    return (wide - mean) * torch.rsqrt(variance + _STANDARDISE_EPS)


def weight_from_mean_units(weight: float, num_classes: int) -> float:
    """Convert a published weight of a `mean` KL to the unit of `soft_loss`.

    Code that calls `kl_div(..., reduction="mean")` averages over samples *and classes*, so its
    loss is ours divided by the number of classes K: its value times K is ours, and so its weight
    divided by K is ours. A factor T^2 is no part of this: multiply by it where the published
    loss lacks it.
    """
    return weight / num_classes


def weight_to_mean_units(weight: float, num_classes: int) -> float:
    """Convert a weight of `soft_loss` to the unit of `kl_div(..., reduction="mean")`: times K."""
    return weight * num_classes
