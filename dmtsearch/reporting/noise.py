"""How far equal trials lie apart: what is left of replicates after arm and seed means."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from dmtsearch.human import points
from dmtsearch.reporting.answer import same_size, tested_arms
from dmtsearch.reporting.findings import Summary

MIN_ARMS, MIN_SEEDS = 3, 5
_SIMULATED = 4_000


@dataclass(frozen=True)
class Noise:
    """What chance alone does among trials of one seed.

    Attributes:
        sd: Residual of test accuracy after the means of arms and of seeds.
        arms, seeds: Of how many.
        trials: Finished trials of the search.
        best_of: 5 and 95 % quantile of the best of so many equal trials above their level.
    """

    sd: float
    arms: int
    seeds: int
    trials: int
    best_of: tuple[float, float]


def gather_noise(summary: Summary) -> Noise | None:
    """None without three tested arms on five seeds, or for another measure than accuracy."""
    arms = tested_arms(summary)
    scores = summary.confirmation.scores
    if len(arms) < MIN_ARMS or not all(arm in scores for arm in arms) or not summary.finished:
        return None
    seeds = sorted(set.intersection(*(set(scores[arm]) for arm in arms)))
    if len(seeds) < MIN_SEEDS or summary.main != "val_accuracy":
        return None
    sd = residual_sd([[scores[arm][seed] for seed in seeds] for arm in arms])
    draws = np.random.default_rng(0).standard_normal((_SIMULATED, summary.finished)).max(axis=1)
    low, high = (sd * float(end) for end in np.quantile(draws, (0.05, 0.95)))
    return Noise(sd, len(arms), len(seeds), summary.finished, (low, high))


def residual_sd(rows: Sequence[Sequence[float]]) -> float:
    """Standard deviation of what the means of rows and of columns leave of a whole table."""
    table = np.array(rows)
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    degrees = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(np.sqrt((left**2).sum() / degrees))


def noise_words(summary: Summary) -> str | None:
    """The noise in a sentence, beside how far the best trial is above the search's own level."""
    found = gather_noise(summary)
    if found is None:
        return None
    low, high = (points(end).removesuffix(" points") for end in found.best_of)
    words = (
        f"After the means of arms and seeds are taken out, {points(found.sd).lstrip('+')} of test "
        f"accuracy are left (sd, {found.arms} schedules on {found.seeds} seeds). By such noise "
        f"alone the best of {found.trials:,} equally good trials would be {low} to {high} points "
        "above their level (90 %, simulated)"
    )
    start = summary.record.starts[-1].seed if summary.record.starts else None
    controls = [run.value for arm in same_size(summary) for run in arm.runs if run.seed == start]
    if summary.best is None or not controls:
        return f"{words}."
    gap = points(summary.best.value - fmean(controls))
    return (
        f"{words}; the best trial is {gap} above the mean of the {len(controls)} controls of its "
        "size and seed, on val."
    )
