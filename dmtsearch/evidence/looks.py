"""When a confirmation looks at its replicates, and how small p must be at each look."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from dmtsearch.errors import UsageError

LEVEL = 0.025
"""One-sided chance of a false win that the first plan of a run may spend."""
FIRST_LOOKS = (5, 8, 12, 16)
_DRAWS = 1_000_000
_CHUNK = 50_000
_SEED = 20_221_130


@dataclass(frozen=True)
class Looks:
    """The looks of one plan of a run.

    Attributes:
        at: Replicates at each look, rising, from 5.
        plan: 1 for the first plan of a run, one more for each plan after it (looks past the last
            one, or another chosen schedule).
        level: One-sided chance of a false win over all looks of this plan, .025 / 2^(plan - 1):
            all plans of a run together stay under .05, however many there are.
        bound: A win needs a one-sided p under this at a look (`look_bound`).
    """

    at: tuple[int, ...]
    plan: int
    level: float
    bound: float

    @classmethod
    def of_plan(cls, at: tuple[int, ...], plan: int) -> "Looks":
        """The looks of plan number `plan`.

        Raises:
            UsageError: The looks do not rise, or the first has fewer than 5 replicates.
        """
        check_looks(at)
        level = LEVEL / 2 ** (plan - 1)
        return cls(at, plan, level, look_bound(at, level))

    @property
    def confidence(self) -> float:
        """Of a two-sided interval that holds over all looks, at whichever the plan ended."""
        return 1 - 2 * self.bound


def check_looks(at: tuple[int, ...]) -> None:
    """Refuse looks that no plan can have."""
    if not at or at[0] < 5 or any(b <= a for a, b in pairwise(at)):
        shown = ",".join(map(str, at))
        raise UsageError(
            "looks are numbers of replicates that rise, the first at least 5 (under 5 there is "
            f"no verdict); got {shown!r}: write for example --looks 5,8,12,16"
        )


@lru_cache
def look_bound(at: tuple[int, ...], level: float) -> float:
    """The one-sided p that, used at every look, gives a false win in `level` of all plans.

    Without a difference, p of the t test at each look is drawn together for 1,000,000 plans of
    independent normal differences; the bound is the `level` quantile of their smallest. One bound
    at all looks is the shape of Pocock, whose table has normal statistics of known variance: at 5
    replicates t differs enough to matter. For looks 5, 8, 12, 16 at .025 it is .0087 (two-sided
    .0173). The draws are seeded, so the same looks have the same bound; its standard error is
    about .6 % of it at .025. A plan writes its bound down, so that a resume never draws it again.

    Args:
        at: Replicates at each look, rising.
        level: One-sided level, in (0, .5).

    References:
        S. J. Pocock, "Group sequential methods in the design and analysis of clinical trials",
        Biometrika 64, 1977.
    """
    if len(at) == 1:
        return level
    import numpy as np
    from scipy.special import stdtr

    draws = np.random.default_rng(_SEED)
    smallest = np.empty(_DRAWS)
    for start in range(0, _DRAWS, _CHUNK):
        total = np.zeros(_CHUNK)
        squares = np.zeros(_CHUNK)
        least = np.ones(_CHUNK)
        seen = 0
        for n in at:
            new = draws.standard_normal((n - seen, _CHUNK))
            total += new.sum(axis=0)
            squares += np.square(new).sum(axis=0)
            seen = n
            variance = (squares - total * total / n) / (n - 1)
            t = total / np.sqrt(n * variance)
            least = np.minimum(least, stdtr(n - 1, -t))
        smallest[start : start + _CHUNK] = least
    return float(np.quantile(smallest, level))
