"""How repeated runs of one thing lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """Repeated runs of one thing.

    Attributes:
        n: Runs.
        mean: Over them.
        sd: Sample standard deviation (n - 1); None for a single run.
        low, high: The least and the greatest.
    """

    n: int
    mean: float
    sd: float | None
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Mean, sample standard deviation and range of `values`; None where there are none."""
    if not values:
        return None
    sd = stdev(values) if len(values) > 1 else None
    return Spread(len(values), fmean(values), sd, min(values), max(values))
