"""What a plan can find: the chance of a win for a true difference, before anything is tested."""

from collections.abc import Sequence
from dataclasses import dataclass

from dmtsearch.evidence.looks import Looks
from dmtsearch.evidence.verdict import MARGIN, LookResult, Verdict, decide

_PLANS = 500
_SEED = 20_230_301


@dataclass(frozen=True)
class Power:
    """Simulated runs of one plan.

    Attributes:
        difference: True difference to each control, in accuracy.
        sd: Standard deviation of a paired difference.
        wins: Share of plans that end in BEATS.
        replicates: Mean number of replicates until a plan ends.
    """

    difference: float
    sd: float
    wins: float
    replicates: float


def run_plan(differences: dict[str, Sequence[float]], looks: Looks, margin: float) -> LookResult:
    """The decision at which a plan ends whose replicates were `differences`, all drawn before."""
    for n in looks.at:
        decision = decide({arm: d[:n] for arm, d in differences.items()}, looks, margin)
        if decision.stop:
            return decision
    return decision


def power(
    looks: Looks,
    *,
    difference: float,
    sd: float,
    controls: int = 3,
    correlation: float = 0.5,
    margin: float = MARGIN,
    plans: int = _PLANS,
) -> Power:
    """How often a plan wins where the chosen schedule is better by `difference` than each control.

    Differences to several controls share the chosen schedule, so they are correlated: by 1/2 where
    all arms spread alike.

    Args:
        looks: The plan's.
        difference: True difference in accuracy, of each control.
        sd: Standard deviation of a paired difference, in accuracy.
        controls: Their number.
        correlation: Between the differences of two controls, in [0, 1].
        margin: As in `decide`.
        plans: Simulated plans; the standard error of a share is at most .5 / sqrt(plans).
    """
    import numpy as np

    draws = np.random.default_rng(_SEED)
    won, replicates = 0, 0
    for _ in range(plans):
        common = draws.standard_normal(looks.at[-1]) * np.sqrt(correlation)
        own = draws.standard_normal((controls, looks.at[-1])) * np.sqrt(1 - correlation)
        made = difference + sd * (common + own)
        end = run_plan({str(c): list(made[c]) for c in range(controls)}, looks, margin)
        won += end.verdict is Verdict.BEATS
        replicates += end.n
    return Power(difference, sd, won / plans, replicates / plans)
