"""Merit: the soft weight of each sample, moved by whether the source is right on it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import UsageError, nearest
from .inputs import refuse_unlabelled, widened


def merit_weights(
    source_logits: Tensor,
    labels: Tensor,
    *,
    rule: str,
    weight: float = 0.5,
    increment: float | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Return a_i, the weight of each sample's soft loss; its hard loss weighs 1 - a_i.

    Rules:
        delta: `weight + increment` where the source is right, `weight - increment` where not.
        hard: `weight` where the source is right, 0 where not.
        soft: the source's probability of the true class at `temperature`; `weight` has no part.

    "Right" means that the source's largest output is the label's.

    Args:
        source_logits: The source's outputs, shape [B, K], any float type; held constant.
        labels: Classes from 0 to K - 1, shape [B].
        rule: `delta`, `hard` or `soft`.
        weight: The soft weight (alpha), in [0, 1].
        increment: By how much `delta` moves it; the other rules take none.
        temperature: T > 0, for `soft`.

    Returns:
        One weight per sample, shape [B], in [0, 1], float32 (float64 for float64 logits), with
        no gradient. NaN where the source's outputs hold a NaN.

    Raises:
        ShapeError: The shapes do not belong together.
        UsageError: Unknown rule; an increment missing or without effect; a weight that the rule
            could give lies outside [0, 1] (known from the numbers alone, before any sample).

    References:
        Morikawa and Kameyama, "CNN Model Compression by Merit-Based Distillation", CSPA 2023
        (doi 10.1109/CSPA57446.2023.10087390), and the authors' code, where weight is 0.5 and
        increment 0.1. There rule `hard` gives the constant 0.5; ours gives `weight`, which is
        0.5 unless set.
    """
    if rule not in MERIT_RULES:
        raise UsageError(f"merit.rule: no rule {rule!r}{nearest(rule, MERIT_RULES)}")
    if (increment is None) == (rule == "delta"):
        needs = "needs a number" if increment is None else f"is {increment}, but has no effect"
        raise UsageError(f"merit.increment {needs} under rule {rule!r}")
    refuse_unlabelled(source_logits, labels)
    logits = widened(source_logits.detach())
    weights = MERIT_RULES[rule](logits, labels, weight, increment or 0.0, temperature)
    return weights.masked_fill(logits.isnan().any(dim=1), float("nan"))


def _delta(
    logits: Tensor, labels: Tensor, weight: float, increment: float, temperature: float
) -> Tensor:
    what = f"merit.increment {increment} on soft.weight {weight}"
    high = _inside(weight + increment, what)
    low = _inside(weight - increment, what)
    return _by_right(logits, labels, high, low)


def _hard(
    logits: Tensor, labels: Tensor, weight: float, increment: float, temperature: float
) -> Tensor:
    return _by_right(logits, labels, _inside(weight, f"soft.weight {weight}"), 0.0)


def _soft(
    logits: Tensor, labels: Tensor, weight: float, increment: float, temperature: float
) -> Tensor:
    if not temperature > 0:
        raise UsageError(f"soft.temperature is {temperature}; it must be above 0")
    chances = functional.softmax(logits / temperature, dim=1)
    return chances.gather(1, labels[:, None]).squeeze(1)


def _by_right(logits: Tensor, labels: Tensor, right: float, wrong: float) -> Tensor:
    is_right = logits.argmax(dim=1) == labels
    return torch.where(is_right, logits.new_full((), right), logits.new_full((), wrong))


def _inside(value: float, what: str) -> float:
    # Ten digits: 0.7 + 0.3 is 1 for people, whatever it is in binary.
    rounded = round(value, 10)
    if not 0.0 <= rounded <= 1.0:
        raise UsageError(f"{what} gives a sample the weight {value:g}; it must lie in [0, 1]")
    return rounded


MERIT_RULES: dict[str, Callable[[Tensor, Tensor, float, float, float], Tensor]] = {
    "delta": _delta,
    "hard": _hard,
    "soft": _soft,
}
