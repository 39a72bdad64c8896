"""What chance alone would show: the noise ruler, the best of N equal trials, intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from dmtsearch.stats import expected_maximum

RULER_ARMS = ("direct", "scratch")
"""The control arms that a search runs with several seeds; the first that there is gives the
level of an equal trial."""


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


@dataclass(frozen=True)
class Ruler:
    """How far equal runs lie apart by chance, from control arms with several seeds.

    Attributes:
        arms: Spread of each arm by name; every one has n of at least 2.
        seeds: The seeds of each.
        level_arm: The arm whose mean is the level of an equal trial.
        level: Its mean.
        sd: Pooled within arms: sqrt(sum (n - 1) sd^2 / sum (n - 1)).
        degrees: Degrees of freedom of `sd`.
    """

    arms: dict[str, Spread]
    seeds: dict[str, tuple[int, ...]]
    level_arm: str
    level: float
    sd: float
    degrees: int

    @property
    def n(self) -> int:
        """Runs behind the standard deviation."""
        return sum(arm.n for arm in self.arms.values())

    @property
    def uncertainty(self) -> float:
        """Relative standard error of `sd`: 1 / sqrt(2 x degrees), good from about 4 on."""
        return 1 / math.sqrt(2 * self.degrees)


def estimate_noise(runs: dict[str, Sequence[tuple[int, float]]]) -> Ruler | None:
    """Estimate from control arms how far equal runs lie apart.

    Args:
        runs: (seed, value) of each finished run, by arm. Only `RULER_ARMS` with at least two
            finished runs are used.

    Returns:
        None where no arm ran twice.
    """
    arms: dict[str, Spread] = {}
    for name in RULER_ARMS:
        found = spread([value for _, value in runs.get(name, ())])
        if found is not None and found.sd is not None:
            arms[name] = found
    if not arms:
        return None
    degrees = sum(arm.n - 1 for arm in arms.values())
    squares = sum((arm.n - 1) * (arm.sd or 0.0) ** 2 for arm in arms.values())
    level_arm = next(iter(arms))
    return Ruler(
        arms=arms,
        seeds={name: tuple(seed for seed, _ in runs[name]) for name in arms},
        level_arm=level_arm,
        level=arms[level_arm].mean,
        sd=math.sqrt(squares / degrees),
        degrees=degrees,
    )


@dataclass(frozen=True)
class BestOfEqual:
    """What the best of N trials shows if all are as good as one another.

    Attributes:
        n: Trials.
        expected: Mean of the best one's value.
        extreme: The value that the best one passes in one of twenty such searches.
    """

    n: int
    expected: float
    extreme: float


def best_of_equal(n: int, *, mean: float, sd: float, direction: str) -> BestOfEqual:
    """What the best of `n` equal trials shows; each a draw from a normal distribution.

    Args:
        n: Trials, at least 1.
        mean, sd: Of a trial.
        direction: `max` or `min`: which end is best.
    """
    sign = 1.0 if direction == "max" else -1.0
    # The largest of n draws stays under q with chance F(q)^n.
    high = NormalDist().inv_cdf(0.95 ** (1 / n))
    return BestOfEqual(n, mean + sign * sd * expected_maximum(n), mean + sign * sd * high)
