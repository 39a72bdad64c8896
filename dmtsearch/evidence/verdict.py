"""Verdicts on paired replicates: of each control, and over all."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from dmtsearch.evidence.looks import Looks

MARGIN = 0.005
"""Differences of accuracy within half a point are called equal."""
MIN_REPLICATES = 5


class Verdict(str, Enum):
    """What the replicates say of a schedule beside a control."""

    BEATS = "BEATS"
    LOSES = "LOSES"
    TIES = "TIES"
    UNDECIDED = "UNDECIDED"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Paired:
    """Chosen schedule minus one control over paired replicates, in accuracy [0, 1].

    Attributes:
        n: Replicates.
        mean: Mean difference.
        sd: Standard deviation of the differences; NaN is never kept, 0 under two replicates.
        p: One-sided p of the difference being above 0.
    """

    n: int
    mean: float
    sd: float
    p: float

    @property
    def p_two_sided(self) -> float:
        """Of the difference not being 0."""
        return min(1.0, 2 * min(self.p, 1 - self.p))

    def interval(self, confidence: float) -> tuple[float, float]:
        """The two-sided t interval of the mean difference, (low, high).

        Where all differences are equal it is that one number: the replicates show no spread.
        """
        if self.n < 2:
            return -1.0, 1.0
        from scipy.special import stdtrit

        half = float(stdtrit(self.n - 1, (1 + confidence) / 2)) * self.sd / math.sqrt(self.n)
        return self.mean - half, self.mean + half


def compare(differences: Sequence[float]) -> Paired:
    """The paired t test of `differences`, one a replicate.

    Where all are equal t is not defined; p is then the sign test's, 2^-n for a positive
    difference, which five replicates cannot bring under a look's bound. Where all are 0, and of
    one replicate, it is 1/2: neither side has anything for it, and two-sided it is 1.
    """
    n = len(differences)
    if n < 2:
        return Paired(n, differences[0] if n else 0.0, 0.0, 0.5)
    from scipy.special import stdtr

    mean = math.fsum(differences) / n
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    if sd <= 1e-12:
        equal = abs(mean) <= 1e-12
        return Paired(n, mean, 0.0, 0.5 if equal else 0.5**n if mean > 0 else 1 - 0.5**n)
    return Paired(n, mean, sd, float(stdtr(n - 1, -mean * math.sqrt(n) / sd)))


@dataclass(frozen=True)
class LookResult:
    """What one look says.

    Attributes:
        n: Replicates seen.
        verdict: Over all controls.
        controls: Of each control, its paired difference and verdict.
        stop: The plan ends here: won, no win within reach, or its last look.
        futile: It ends because for some control a win by the margin is out of reach.
    """

    n: int
    verdict: Verdict
    controls: Mapping[str, tuple[Paired, Verdict]]
    stop: bool
    futile: bool


def decide(
    differences: Mapping[str, Sequence[float]], looks: Looks, margin: float = MARGIN
) -> LookResult:
    """The verdict at the look that has as many replicates as `differences`.

    A win over all is asked first: every control is beaten, each with p under the look's bound (an
    intersection of tests, so nothing is divided among them). Then futility: for some control the
    upper end of the 90 % interval is under the margin. Each control is BEATS (p under the bound),
    LOSES (90 % upper end under 0), TIES (90 % interval within the margin) or UNDECIDED; over all
    BEATS where all are, LOSES where any is, TIES where all are TIES or BEATS, else UNDECIDED.
    Under five replicates, and between looks, nothing is decided.

    Args:
        differences: Of each control, chosen minus control in accuracy, one a replicate.
        looks: The plan's.
        margin: Accuracy within which two schedules are called equal.
    """
    n = min(map(len, differences.values()))
    at_look = n in looks.at and n >= MIN_REPLICATES
    found = {}
    for arm, values in differences.items():
        paired = compare(values[:n])
        found[arm] = (paired, _one(paired, looks, margin) if at_look else Verdict.UNDECIDED)
    each = {verdict for _, verdict in found.values()}
    won = each == {Verdict.BEATS}
    futile = at_look and not won and any(p.interval(0.9)[1] < margin for p, _ in found.values())
    return LookResult(
        n, _all(each), found, at_look and (won or futile or n >= looks.at[-1]), futile
    )


def _one(paired: Paired, looks: Looks, margin: float) -> Verdict:
    low, high = paired.interval(0.9)
    if paired.p < looks.bound:
        return Verdict.BEATS
    if high < 0:
        return Verdict.LOSES
    if -margin <= low and high <= margin:
        return Verdict.TIES
    return Verdict.UNDECIDED


def _all(each: set[Verdict]) -> Verdict:
    if each == {Verdict.BEATS}:
        return Verdict.BEATS
    if Verdict.LOSES in each:
        return Verdict.LOSES
    if each <= {Verdict.TIES, Verdict.BEATS}:
        return Verdict.TIES
    return Verdict.UNDECIDED


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p adjusted for their number, so that the chance of any false claim stays at the level.

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
        Statistics 6, 1979.
    """
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, arm in enumerate(sorted(p, key=lambda a: p[a])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[arm]))
        adjusted[arm] = largest
    return adjusted
