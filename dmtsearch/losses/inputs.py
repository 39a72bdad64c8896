"""What every loss asks of its inputs: enough precision, and shapes that belong together."""

import torch
from torch import Tensor

from ..errors import ShapeError


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
