"""When a stage ends before its last epoch: rules over the history of validation values.

A rule only decides; the loop obeys. Rules read the whole history, so that a resumed stage decides
as an unbroken one.
"""

from collections.abc import Sequence

from dmtsearch.schedule import Accuracy, Plateau, Switch

HIGHER_IS_BETTER = {"val_accuracy": True, "val_nll": False, "val_hint": False}


def should_switch(rule: Switch, history: Sequence[dict[str, float]]) -> bool:
    """Say whether the stage hands over now, after the last row of `history`.

    Args:
        rule: `epochs` never ends a stage early; `plateau` ends it once `on` has not improved by
            more than `min_delta` for `patience` epochs in a row; `accuracy` ends it once val
            accuracy is at least `at_least`.
        history: Values on val after each validated epoch of the phase, oldest first.
    """
    if not history:
        return False
    if isinstance(rule, Accuracy):
        return history[-1]["val_accuracy"] >= rule.at_least
    if not isinstance(rule, Plateau):
        return False
    sign = 1.0 if HIGHER_IS_BETTER[rule.on] else -1.0
    values = [sign * row[rule.on] for row in history]
    return epochs_without_gain(values, min_delta=rule.min_delta) >= rule.patience


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
