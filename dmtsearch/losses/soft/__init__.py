"""Losses towards a source's logits: a module for each, by its name in `soft.loss`.

`NAME.py` has `NAME_loss(student logits, source logits, temperature=..., ...)`, which gives [B]. It
takes the labels if it names them, and what its form in dmtsearch/schedule/blocks.py has beside the
fields of every soft loss.
"""

from collections.abc import Callable, Mapping
from inspect import signature

from torch import Tensor

from ...rows import modules_of

SoftLoss = Callable[..., Tensor]


def _given_labels(function: SoftLoss) -> SoftLoss:
    if "labels" in signature(function).parameters:
        return function
    return lambda student, source, labels, **own: function(student, source, **own)


SOFT_LOSSES: Mapping[str, SoftLoss] = {
    name: _given_labels(getattr(module, f"{name}_loss"))
    for name, module in modules_of(__name__).items()
}
"""By name: (student logits, source logits, labels, temperature=, own fields=) to [B]."""
