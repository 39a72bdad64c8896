"""What a selector on plain arrays is made with, checked before it learns."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dmtsearch.errors import UsageError, nearest

INPUTS = ("topk", "posterior", "logits", "moments")


def check_params(given: Mapping[str, Any], classes: int) -> None:
    """Refuse parameters of a selector that have no meaning for outputs of so many classes.

    Args:
        given: By name, all of them.
        classes: Of the outputs.

    Raises:
        UsageError: The first that is wrong; names the value and what it may be.
    """
    inputs, k, hidden, lr = (given[name] for name in ("inputs", "k", "hidden", "lr"))
    if inputs not in INPUTS:
        raise UsageError(f"inputs is {inputs!r}{nearest(inputs, INPUTS)}")
    if given["decision"] not in ("hard", "soft"):
        raise UsageError(f"decision is {given['decision']!r}; it is hard or soft")
    if inputs == "topk" and not (_is_whole(k) and 1 <= k <= classes):
        raise UsageError(
            f"k is {k!r}, and there are {classes} classes; choose k from 1 to {classes}"
        )
    if not isinstance(hidden, list | tuple) or not all(_is_whole(w) and w >= 1 for w in hidden):
        raise UsageError(
            f"hidden is {hidden!r}; give the width of each hidden layer: (32,), or () for none"
        )
    for name in ("epochs", "batch"):
        if not (_is_whole(given[name]) and given[name] >= 1):
            raise UsageError(f"{name} is {given[name]!r}; it is a whole number from 1")
    if not (_is_whole(given["seed"]) and given["seed"] >= 0):
        raise UsageError(f"seed is {given['seed']!r}; it is a whole number from 0")
    if not (_is_number(lr) and 0 < lr < math.inf):
        raise UsageError(f"lr is {lr!r}; it is a number above 0")
    if not (_is_number(given["dropout"]) and 0 <= given["dropout"] < 1):
        raise UsageError(f"dropout is {given['dropout']!r}; it is a chance from 0 to below 1")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float | np.floating)
