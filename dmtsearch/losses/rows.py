"""The losses that a schedule can name: a row each."""

from collections.abc import Callable, Mapping

from torch import Tensor

from .attention import attention_loss
from .dist import dist_loss
from .dkd import dkd_loss
from .hint import hint_loss
from .soft import soft_loss

SOFT_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "kl": lambda student, source, labels, **own: soft_loss(student, source, **own),
    "dkd": dkd_loss,
    "dist": lambda student, source, labels, **own: dist_loss(student, source, **own),
}
"""By name in `soft.loss`: (student logits, source logits, labels, temperature=, own=) to [B]."""

HINT_LOSSES: Mapping[str, Callable[..., Tensor]] = {
    "mse": hint_loss,
    "attention": lambda student, source, scale: attention_loss(student, source),
}
"""By name in `hints[].loss`: (student map, source map, scale=) to [B]; `mse` takes the student's
map from its adapter, `attention` as it is."""
