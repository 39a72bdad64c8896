"""The loss towards the labels (E_hard)."""

import torch
from torch import Tensor
from torch.nn import functional

from .inputs import refuse_unlabelled, widened

_NO_LABEL = torch.iinfo(torch.int64).min
"""torch silently skips samples with label -100 by default; no label is skipped here."""


def hard_loss(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy between a model's outputs and the labels.

    Args:
        logits: Outputs of the model in training, shape [B, K], any float type.
        labels: Classes from 0 to K - 1, int64, shape [B].
        smoothing: Share of the target spread evenly over all K classes, in [0, 1].

    Returns:
        One value per sample, shape [B], in nats, float32 (float64 for float64 logits).

    Raises:
        ShapeError: The shapes do not belong together.
        IndexError: A label lies outside 0 .. K - 1 (on a CUDA device: a device-side assert;
            data sets are checked for it when they are read).

    References:
        Label smoothing: Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7
        (https://arxiv.org/abs/1512.00567). Equal to `torch.nn.functional.cross_entropy` per
        sample, but for label -100, which torch skips and we refuse.
    """
    refuse_unlabelled(logits, labels)
    return functional.cross_entropy(
        widened(logits),
        labels,
        reduction="none",
        label_smoothing=smoothing,
        ignore_index=_NO_LABEL,
    )
