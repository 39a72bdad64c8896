"""Losses between two maps: a module for each, by its name in `hints[].loss`.

`NAME.py` has `NAME_loss(student map, source map)`, which gives [B]; it takes `scale` if it names
it. What it does not use is in `HINT_LOSSES` of dmtsearch/schedule/blocks.py.
"""

from collections.abc import Callable, Mapping
from inspect import signature

from torch import Tensor

from ...rows import modules_of

HintLoss = Callable[..., Tensor]


def _given_scale(function: HintLoss) -> HintLoss:
    if "scale" in signature(function).parameters:
        return function
    return lambda student, source, scale: function(student, source)


HINT_LOSSES: Mapping[str, HintLoss] = {
    name: _given_scale(getattr(module, f"{name}_loss"))
    for name, module in modules_of(__name__).items()
}
"""By name: (student map, source map, scale=) to [B]; the student's map comes from its adapter."""
