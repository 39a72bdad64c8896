"""Time left: how long stages still take, by those that have ended, and how many run at once."""

import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .ledger_lines import StageEnded, TrialProposed
from .messages import SEARCH

MIN_ENDED = 4
"""Stages that this driver must have trained before anything is said."""
MIN_SHARE = 0.05
"""Of the cost that trials have requested, so much must have been trained before: a few small
stages say little about a large one."""


class TimeLeft:
    """An estimate of the seconds that a search still takes; None before there is evidence.

    A stage takes `a + b * cost` seconds, fitted to the stages that have ended: small stages cost
    time beside their sample-MACs. A trial to come is taken to add what trials so far added beyond
    the stages that others had requested (the first one left out, which pays for all that is
    shared). All of it is divided by how many stages ran at once so far, waits counted.
    """

    def __init__(self) -> None:
        self._costs: dict[str, int] = {}
        self._ended: set[str] = set()
        self._trained: list[tuple[int, float]] = []
        self._since = 0
        self._first: float | None = None
        self._added: dict[bool, list[tuple[int, int]]] = {True: [], False: []}

    def proposed(self, record: TrialProposed) -> None:
        """A trial requests its stages."""
        new = {stage.key: stage.cost for stage in record.stages if stage.key not in self._costs}
        self._costs |= new
        self._added[record.arm == SEARCH].append((len(new), sum(new.values())))

    def stage(self, record: StageEnded) -> None:
        """A stage ended."""
        self._ended.add(record.key)
        if record.status == "run":
            self._trained.append((record.cost, record.seconds))
            if self._first is None:
                self._first = time.monotonic() - record.seconds

    def begin(self) -> None:
        """What comes now is this driver's work; what came before was another's."""
        self._since, self._first = len(self._trained), None

    def left_s(
        self, wanted: int, running: Sequence[Mapping[str, Any]], arms_left: int = 0
    ) -> float | None:
        """Seconds left, or None before that can be said.

        Args:
            wanted: Search trials in all.
            running: Stages that train now, each with `key`, `cost`, `epoch` and `epochs`.
            arms_left: Control arms that have not begun.
        """
        now = time.monotonic()
        if running and self._first is None:
            self._first = now
        ended = self._trained[self._since :]
        done = sum(cost for cost, _ in ended)
        if len(ended) < MIN_ENDED or done < MIN_SHARE * sum(self._costs.values()):
            return None
        base, slope = fit_seconds(self._trained)
        half_done = sum(_share(stage) * (base + slope * stage["cost"]) for stage in running)
        still = [cost for key, cost in self._costs.items() if key not in self._ended]
        work = sum(base + slope * cost for cost in still) - half_done
        searched, arms = self._added[True], self._added[False]
        for to_come, added in ((wanted - len(searched), searched), (arms_left, arms)):
            stages, cost = _usual(added or searched)
            work += max(0, to_come) * (base * stages + slope * cost)
        elapsed = now - self._first if self._first is not None else 0.0
        at_once = (sum(seconds for _, seconds in ended) + half_done) / max(elapsed, 1e-9)
        return float(max(0.0, work) / max(at_once, 1e-9))


def fit_seconds(trained: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Least squares of seconds over cost, neither part below 0: (seconds, seconds per cost)."""
    costs, seconds = [cost for cost, _ in trained], [taken for _, taken in trained]
    mean_cost, mean_seconds = fmean(costs), fmean(seconds)
    spread = sum((cost - mean_cost) ** 2 for cost in costs)
    both = sum((c - mean_cost) * (s - mean_seconds) for c, s in trained)
    slope = max(0.0, both / spread) if spread else 0.0
    base = mean_seconds - slope * mean_cost
    if base < 0 or not spread:
        return 0.0, mean_seconds / mean_cost if mean_cost else 0.0
    return base, slope


def _usual(added: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Stages and cost that one more trial adds, by those after the first."""
    later = added[1:] or added
    if not later:
        return 0.0, 0.0
    return fmean(stages for stages, _ in later), fmean(cost for _, cost in later)


def _share(stage: Mapping[str, Any]) -> float:
    """How much of a running stage is behind it, by its epochs."""
    return float(min(1.0, stage["epoch"] / max(1, stage["epochs"] + stage["hint_epochs"])))
