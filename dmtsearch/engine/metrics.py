"""A search's numbers for Prometheus, at the endpoint of the Ray cluster on which it runs.

Ray puts `ray_` before each name. `cluster/grafana.json` draws them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .ledger_lines import Record, StageEnded
from .live import LiveState
from .messages import SEARCH

METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "dmtsearch_trials": ("Trials by arm (search, control) and state.", ("run", "arm", "state")),
    "dmtsearch_stages": (
        "Stages: running and waiting now; run, store, stopped, failed, shared so far.",
        ("run", "state"),
    ),
    "dmtsearch_epochs": ("Epochs trained, hint phases included.", ("run",)),
    "dmtsearch_best": ("The first objective of the best trial.", ("run", "arm", "objective")),
    "dmtsearch_left_seconds": ("Estimated time to the end of the search.", ("run",)),
}
"""Help and labels by name. No label holds a trial or a key: their number has no bound."""


def numbers_of(state: LiveState, epochs: int) -> dict[tuple[str, tuple[str, ...]], float]:
    """What a moment of a search says: value by name and labels, without `run`."""
    found: dict[tuple[str, tuple[str, ...]], float] = {}
    for arm, counts in ((SEARCH, state.trials), ("control", state.controls)):
        for name, count in counts.items():
            found["dmtsearch_trials", (arm, name)] = count
    stages = {"running": len(state.running), "waiting": len(state.waiting), "shared": state.shared}
    for ended in ("run", "store", "stopped", "failed"):
        stages[ended] = state.stages.get(ended, 0)
    for name, count in stages.items():
        found["dmtsearch_stages", (name,)] = count
    found["dmtsearch_epochs", ()] = epochs
    for arm, best in ((SEARCH, state.best), ("control", state.best_control)):
        if best is not None:
            found["dmtsearch_best", (arm, best.objective)] = best.value
    if state.left_s is not None:
        found["dmtsearch_left_seconds", ()] = state.left_s
    return found


class RayMetrics:
    """Keeps gauges of Ray's at what the search says.

    Args:
        gauge: Makes one from a name, a description and label names (`ray.util.metrics.Gauge`).
    """

    def __init__(self, gauge: Any = None) -> None:
        if gauge is None:
            from ray.util.metrics import Gauge as gauge
        self._gauges = {
            name: gauge(name, description=text, tag_keys=labels)
            for name, (text, labels) in METRICS.items()
        }
        self._epochs = 0

    def take(self, state: LiveState, records: Sequence[Record]) -> None:
        """Set all gauges."""
        self._epochs += sum(
            record.epochs + record.hint_epochs
            for record in records
            if isinstance(record, StageEnded) and record.status != "store"
        )
        for (name, labels), value in numbers_of(state, self._epochs).items():
            tags = dict(zip(METRICS[name][1], (state.name, *labels), strict=True))
            self._gauges[name].set(value, tags=tags)

    def close(self) -> None:
        """Ray forgets the gauges with the driver."""
