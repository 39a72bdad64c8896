"""Time left, from the compute that trials still ask for and the speed so far."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .records import StageEnded, TrialProposed
from .trials import SEARCH

MIN_S = 3.0
"""Before so many seconds nothing is said."""
MIN_WITHOUT_STAGE_S = 60.0
"""Nor before so many, while no stage has ended: processes still start."""


class TimeLeft:
    """An estimate: trials to come cost, on average, what trials so far had to run.

    Counts sample-MACs (cold cost), since a large first model weighs more than a small last one.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._costs: dict[str, int] = {}
        self._ended: set[str] = set()
        self._computed = 0
        self._proposed = 0

    def proposed(self, record: TrialProposed) -> None:
        """A trial asks for its stages."""
        self._proposed += record.arm == SEARCH
        for stage in record.stages:
            self._costs.setdefault(stage.key, stage.cost)

    def stage(self, record: StageEnded) -> None:
        """A stage ended."""
        self._ended.add(record.key)
        self._computed += record.cost

    def begin(self) -> None:
        """What comes now is this driver's work; what came before was another's."""
        self._started, self._computed = time.monotonic(), 0

    def left_s(self, wanted: int, running: Sequence[Mapping[str, Any]]) -> float | None:
        """Seconds left, or None before that can be said.

        Args:
            wanted: Search trials in all.
            running: Stages that train now, each with `key`, `cost`, `epoch` and `epochs`.
        """
        elapsed = time.monotonic() - self._started
        half_done = 0.0
        for stage in running:
            passes = max(1, stage["epochs"] + stage["hint_epochs"])
            half_done += stage["cost"] * stage["epoch"] / passes
        computed = self._computed + half_done
        least_s = MIN_S if self._computed else MIN_WITHOUT_STAGE_S
        if elapsed < least_s or computed <= 0 or self._proposed == 0:
            return None
        asked = sum(self._costs.values())
        open_now = sum(cost for key, cost in self._costs.items() if key not in self._ended)
        to_come = max(0, wanted - self._proposed) * asked / self._proposed
        return (open_now - half_done + to_come) * elapsed / computed
