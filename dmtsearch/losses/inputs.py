"""What losses do to their inputs: widen, standardise, refuse what does not belong together."""

import torch
from torch import Tensor

from ..errors import ShapeError

_STANDARDISE_EPS = 1e-8
"""Added to the variance of the logits, so that constant logits give zeros and finite gradients."""


def widened(values: Tensor) -> Tensor:
    """Return `values` in float32, or in float64 where they are that already.

    Half precision keeps 8 to 11 bits: a loss summed over classes in it is off by whole per cents.
    """
    return values if values.dtype == torch.float64 else values.float()


def refuse_unlike(what: str, student: Tensor, source: Tensor, advice: str) -> None:
    """Raise `ShapeError` unless both have one shape; broadcasting would hide a wrong pairing."""
    if student.shape != source.shape:
        raise ShapeError(
            f"{what} differ: student {tuple(student.shape)}, source {tuple(source.shape)}; "
            f"{advice}"
        )


def refuse_unlabelled(logits: Tensor, labels: Tensor) -> None:
    """Raise `ShapeError` unless `logits` are [B, K] and `labels` [B]."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} do not belong "
            "together; logits are [B, K] and labels [B]"
        )


def standardise(logits: Tensor) -> Tensor:
    """Return each sample's logits with mean 0 and standard deviation 1 over its classes.

    Given to `kl_loss` for both student and source, the student need not match the source's
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
        logits. The paper's base temperature is the `temperature` of `kl_loss`.
    """
    wide = widened(logits)
    variance, mean = torch.var_mean(wide, dim=1, keepdim=True, correction=0)
    return (wide - mean) * torch.rsqrt(variance + _STANDARDISE_EPS)
