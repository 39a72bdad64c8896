"""When a stage ends before its last epoch: rules over the history of validation values.

A rule only decides; the loop obeys. Rules read the whole history, so that a resumed stage decides
as an unbroken one.
"""

from collections.abc import Sequence
from typing import Protocol

HIGHER_IS_BETTER = {"val_accuracy": True, "val_nll": False, "val_hint": False}


class SwitchRule(Protocol):
    """The part of a schedule's `switch` block that a decision needs."""

    @property
    def when(self) -> str: ...
    @property
    def on(self) -> str | None: ...
    @property
    def patience(self) -> int | None: ...
    @property
    def min_delta(self) -> float | None: ...
    @property
    def at_least(self) -> float | None: ...


def should_switch(rule: SwitchRule, history: Sequence[dict[str, float]]) -> bool:
    """Say whether the stage hands over now, after the last row of `history`.

    Args:
        rule: `epochs` never ends a stage early; `plateau` ends it once `on` has not improved by
            more than `min_delta` for `patience` epochs in a row; `accuracy` ends it once val
            accuracy is at least `at_least`.
        history: Values on val after each epoch of the phase, oldest first.
    """
    if rule.when == "epochs" or not history:
        return False
    if rule.when == "accuracy":
        return history[-1]["val_accuracy"] >= (rule.at_least or 0.0)
    name = rule.on or "val_accuracy"
    sign = 1.0 if HIGHER_IS_BETTER[name] else -1.0
    return epochs_without_gain(
        [sign * row[name] for row in history], min_delta=rule.min_delta or 0.0
    ) >= (rule.patience or 1)


def epochs_without_gain(values: Sequence[float], *, min_delta: float) -> int:
    """Count the epochs since the last value that passed the best before it by over `min_delta`.

    Args:
        values: Higher is better, oldest first.
        min_delta: A gain must be larger than this, in the unit of `values`.
    """
    best, since = float("-inf"), 0
    for value in values:
        if value > best + min_delta:
            best, since = value, 0
        else:
            since += 1
    return since
