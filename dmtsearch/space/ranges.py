"""The values between two bounds, exactly: 0.2 + 2 x 0.2 is 0.6, as it is for people."""

import math
from decimal import Decimal

Number = int | float


def num_steps(low: Number, high: Number, step: Number) -> int | None:
    """Return how many steps lead from `low` to `high`; None where the step does not divide it."""
    count = (_exact(high) - _exact(low)) / _exact(step)
    return int(count) if count == count.to_integral_value() else None


def nth(low: Number, step: Number, index: int) -> Number:
    """Return the value `index` steps above `low`, of the type of the bounds."""
    value = _exact(low) + index * _exact(step)
    is_whole = isinstance(low, int) and isinstance(step, int)
    return int(value) if is_whole else float(value)


def index_of(low: Number, step: Number, value: Number) -> int | None:
    """Return how many steps `value` is above `low`; None where it is on no step."""
    if value == low:
        return 0
    count = Decimal(repr(value)) - _exact(low)
    steps = count / _exact(step)
    return int(steps) if steps == steps.to_integral_value() else None


def middle(low: float, high: float, *, log: bool) -> float:
    """Return the middle of a continuous range, the geometric one for `log`."""
    return math.sqrt(low) * math.sqrt(high) if log else low + (high - low) / 2


def spread(low: float, high: float, place: int, places: int, *, log: bool) -> float:
    """Return the `place`th (from 1) of evenly spaced inner points of a continuous range."""
    share = place / (places + 1)
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def _exact(number: Number) -> Decimal:
    return Decimal(repr(number))
