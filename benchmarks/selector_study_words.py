"""What differences and intervals of the selector study say in words: by rule, never by hand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from selector_study_numbers import Difference, Interval, t_interval

from dmtsearch.human import listed

HEADINGS = {"above": "above", "below": "below", "open": "not told apart from"}


def points(value: float) -> str:
    """A difference of shares as signed percentage points: `+3.1`."""
    return f"{100 * value:+.1f}".replace("-0.0", "+0.0")


def with_interval(value: float, interval: Interval) -> str:
    """`+3.1 (+1.0 to +5.2)`, in points."""
    if interval is None:
        return points(value)
    return f"{points(value)} ({points(interval[0])} to {points(interval[1])})"


def mean_of(values: NDArray[np.float64]) -> str:
    """`91.2 (90.0 to 92.4)`: mean of shares over seeds in percent, with its t interval."""
    if np.isnan(values).any():
        return "-"
    interval, middle = t_interval(values), f"{100 * values.mean():.1f}"
    if interval is None:
        return middle
    # From few seeds a t interval may reach beyond what a share can be.
    low, high = max(0.0, interval[0]), min(1.0, interval[1])
    return f"{middle} ({100 * low:.1f} to {100 * high:.1f})"


def compare(found: Sequence[Difference]) -> str:
    """Which methods the selector is above, below and not told apart from, by how many points."""
    words = []
    for verdict, heading in HEADINGS.items():
        chosen = [one for one in found if one.verdict == verdict]
        named = [f"{one.method} {points(one.mean)}" for one in chosen]
        if named:
            words.append(f"{heading} {listed(named)}")
    return "; ".join(words) if words else "compared with nothing"


def expectation(found: Sequence[Difference]) -> str:
    """Whether the selector is above all of them: `Yes: above all 7.`"""
    above = sum(one.verdict == "above" for one in found)
    if above == len(found):
        return f"Yes: above all {above}."
    below = sum(one.verdict == "below" for one in found)
    return f"No: above {above} of {len(found)}, below {below}, {len(found) - above - below} open."


def trend(low_end: NDArray[np.float64], high_end: NDArray[np.float64]) -> str:
    """How a share changes from the lowest to the highest severity, paired by seed [S]."""
    change, interval = high_end - low_end, t_interval(high_end - low_end)
    words = f"{with_interval(float(change.mean()), interval)} points"
    if interval is None or interval[0] <= 0 <= interval[1]:
        return f"no change that these seeds can tell: {words}"
    return f"{'better' if interval[0] > 0 else 'worse'} with severity: {words}"
