"""The numbers of the selector study: differences between methods, paired by seed and sample.

Pure: what seeds answered goes in, frozen values come out. All differences are the selector's
accuracy minus a method's, in shares of 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # ships no types

OWN, ORACLE = "selector", "oracle"
SELECTION_RULES = ("max_softmax", "temperature_max_softmax", "margin", "entropy", "energy")
FUSION_RULES = ("sum_rule", "product_rule", "stacking")
PARTS = {"occlusion_block": "occlusion", "occlusion_stripe": "occlusion"}
"""Kinds of which another kind is made: not foreign to a selector that was trained on that one."""

GROUPS = ("seen", "part", "unseen")
ONE, NONE = "one", "none"
LEVEL, RESAMPLES = 0.95, 2000

Interval = tuple[float, float] | None
"""Low and high; None from a single seed."""


@dataclass(frozen=True)
class Place:
    """One condition of the sweep.

    Attributes:
        kind, severity: None where nothing is degraded.
        degraded: Names of the degraded modalities.
        group: `none`; `seen`: a kind trained on; `part`: half of a kind trained on; `unseen`.
    """

    kind: str | None
    severity: float | None
    degraded: tuple[str, ...]
    group: str

    @property
    def condition(self) -> str:
        """`none`, a modality's name, or `both` (`all` of more than two)."""
        if len(self.degraded) > 1:
            return "both" if len(self.degraded) == 2 else "all"
        return self.degraded[0] if self.degraded else NONE


def group_of(kind: str | None, trained_on: Sequence[str]) -> str:
    """Which group of kinds one belongs to, given those that the selector was trained on."""
    if kind is None:
        return NONE
    if kind in trained_on:
        return "seen"
    return "part" if PARTS.get(kind) in trained_on else "unseen"


def role_of(method: str) -> str:
    """`modality`, `selection rule`, `fusion rule`, `bound` or `selector`."""
    if method in (OWN, ORACLE):
        return "bound" if method == ORACLE else OWN
    if method in SELECTION_RULES:
        return "selection rule"
    return "fusion rule" if method in FUSION_RULES else "modality"


@dataclass(frozen=True)
class Study:
    """What S seeds answered: M methods in C conditions on the same N test samples.

    Attributes:
        seeds, methods, places: In order; the selector and the oracle are among the methods.
        right: Whether the answer is the label, bool [S, M, C, N].
        selection: Share of samples for which the undegraded modality is believed, [S, M, C]; NaN
            unless exactly one is degraded, and for methods that believe none.
        decisive: Share of those with exactly one right modality for which that one is believed,
            likewise.
        decisive_n: How many those are, [S, M, C].
    """

    seeds: tuple[int, ...]
    methods: tuple[str, ...]
    places: tuple[Place, ...]
    right: NDArray[np.bool_]
    selection: NDArray[np.float64]
    decisive: NDArray[np.float64]
    decisive_n: NDArray[np.int64]

    @property
    def num_samples(self) -> int:
        """N."""
        return int(self.right.shape[-1])

    def accuracy(self, method: str, cell: "Cell") -> NDArray[np.float64]:
        """Of each seed, mean over the cell's conditions, [S]; NaN where it has none."""
        if not cell.places:
            return np.full(len(self.seeds), np.nan)
        chosen = self.right[:, self.methods.index(method), list(cell.places)]
        return np.asarray(chosen.mean(axis=(1, 2), dtype=np.float64))

    def selected(self, method: str, cell: "Cell") -> NDArray[np.float64]:
        """Selection accuracy likewise, [S]; NaN where there is none."""
        if not cell.places:
            return np.full(len(self.seeds), np.nan)
        chosen = self.selection[:, self.methods.index(method), list(cell.places)]
        return np.asarray(chosen.mean(axis=1), dtype=np.float64)

    def decided(self, method: str, cell: "Cell") -> NDArray[np.float64]:
        """Decisive accuracy over all such samples of the cell's conditions, [S]."""
        number, places = self.methods.index(method), list(cell.places)
        share, n = self.decisive[:, number, places], self.decisive_n[:, number, places]
        hits, out_of = np.where(n > 0, share * n, 0.0).sum(axis=1), n.sum(axis=1)
        return np.asarray(
            np.divide(hits, out_of, out=np.full(len(hits), np.nan), where=out_of > 0)
        )


@dataclass(frozen=True)
class Cell:
    """Conditions over which a mean is taken, each of the same weight.

    Attributes:
        group: See `Place`.
        kind: None for the mean over the group's kinds.
        severity: None for the mean over the severities.
        condition: See `Place`; `one`: exactly one modality is degraded, either in turn.
        places: Which conditions of the study.
    """

    group: str
    kind: str | None
    severity: float | None
    condition: str
    places: tuple[int, ...]


def single_cells(places: Sequence[Place]) -> list[Cell]:
    """Every condition by itself."""
    return [
        Cell(one.group, one.kind, one.severity, one.condition, (number,))
        for number, one in enumerate(places)
    ]


def mean_cells(places: Sequence[Place]) -> list[Cell]:
    """Means over severities and kinds first, then over kinds alone and severities alone."""
    kinds = list(dict.fromkeys(one.kind for one in places if one.kind is not None))
    severities = sorted({one.severity for one in places if one.severity is not None})
    wanted: list[tuple[str | None, float | None]] = [(None, None)]
    wanted += [(None, severity) for severity in severities] + [(kind, None) for kind in kinds]
    found = [cell_of(places, NONE, NONE)]
    for group in GROUPS:
        for kind, severity in wanted:
            found += [
                cell_of(places, group, condition, kind=kind, severity=severity)
                for condition in conditions_of(places)
                if condition != NONE
            ]
    return [cell for cell in found if cell.places]


def conditions_of(places: Sequence[Place]) -> list[str]:
    """`none`, each modality degraded, `one`, `both`: as far as they occur."""
    names = list(dict.fromkeys(one.condition for one in places))
    alone = [one.condition for one in places if len(one.degraded) == 1]
    several = [name for name in names if name not in alone and name != NONE]
    return [NONE, *dict.fromkeys(alone), ONE, *several]


def cell_of(
    places: Sequence[Place],
    group: str,
    condition: str,
    *,
    kind: str | None = None,
    severity: float | None = None,
) -> Cell:
    """The conditions of a group, and of a kind and a severity where these are given."""
    chosen = [
        number
        for number, one in enumerate(places)
        if one.group == group
        and (len(one.degraded) == 1 if condition == ONE else one.condition == condition)
        and kind in (None, one.kind)
        and severity in (None, one.severity)
    ]
    return Cell(group, kind, severity, condition, tuple(chosen))


@dataclass(frozen=True)
class Difference:
    """The selector's accuracy minus a method's.

    Attributes:
        cell, method: Where, and which.
        mean: Over seeds.
        over_seeds: 95 % t interval over the seeds' differences.
        over_both: 95 % interval of means over resampled seeds and samples.
        num_seeds, num_samples: n of each.
    """

    cell: Cell
    method: str
    mean: float
    over_seeds: Interval
    over_both: Interval
    num_seeds: int
    num_samples: int

    @property
    def verdict(self) -> str:
        """`above` or `below` where both intervals lie on that side of 0, else `open`."""
        if self.over_seeds is None or self.over_both is None:
            return "open"
        if min(self.over_seeds[0], self.over_both[0]) > 0:
            return "above"
        return "below" if max(self.over_seeds[1], self.over_both[1]) < 0 else "open"


Resample = Callable[[NDArray[np.float64]], Interval]


def differences(study: Study, cells: Sequence[Cell], resample: Resample) -> list[Difference]:
    """The selector minus every other method in every cell.

    Args:
        study: What the seeds answered.
        cells: Where.
        resample: The second interval, see `resampler`.
    """
    found = []
    for cell in cells:
        shares = study.right[:, :, list(cell.places)].mean(axis=2, dtype=np.float64)
        own = shares[:, study.methods.index(OWN)]
        for number, method in enumerate(study.methods):
            if method == OWN:
                continue
            apart = own - shares[:, number]
            of_seeds = apart.mean(axis=1)
            found.append(
                Difference(
                    cell,
                    method,
                    float(of_seeds.mean()),
                    t_interval(of_seeds),
                    resample(apart),
                    len(study.seeds),
                    study.num_samples,
                )
            )
    return found


def t_interval(values: NDArray[np.float64]) -> Interval:
    """Two-sided 95 % t interval of the mean; covers the choice of seeds, not that of samples."""
    n = len(values)
    if n < 2:
        return None
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return float(values.mean()) - half, float(values.mean()) + half


def resampler(num_seeds: int, num_samples: int, *, seed: int = 0) -> Resample:
    """Return the percentile interval of a mean over differences [S, N], resampled both ways.

    Seeds and samples are drawn with replacement, independently: all seeds answer on the same
    samples, so that a sample that is drawn is drawn for all of them. The same draws serve all
    cells and methods. From few seeds such an interval is too short, so that it stands beside the
    t interval and not in its place.
    """
    draw = np.random.default_rng(seed).multinomial
    of_seeds = draw(num_seeds, np.full(num_seeds, 1 / num_seeds), RESAMPLES) / num_seeds
    of_samples = draw(num_samples, np.full(num_samples, 1 / num_samples), RESAMPLES) / num_samples

    def interval(apart: NDArray[np.float64]) -> Interval:
        if num_seeds < 2:
            return None
        means = ((of_seeds @ apart) * of_samples).sum(axis=1)
        low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        return float(low), float(high)

    return interval
