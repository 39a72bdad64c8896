"""Stages that do nothing, for `overhead.py` and `scale.py`: in a module that workers import."""

import time
from dataclasses import dataclass, field
from typing import Any

from dmtsearch.engine.messages import Needs, StageOutcome


@dataclass(frozen=True)
class Nothing:
    """A stage's job."""

    key: str
    resources: Needs = field(default_factory=Needs)
    snapshots: tuple[Any, ...] = ()


def do_nothing(job: Nothing, store: Any, setting: Any, on_epoch: Any, tell: Any) -> StageOutcome:
    """Run a stage: commit a record, and no payload."""
    record = {
        **{"name": "nothing", "run": setting.run, "hints_by": [None, None]},
        **{"epochs": 1, "kept_epoch": 1, "hint_epochs": 0, "seconds": 0.0, "hint_seconds": 0.0},
        **{"history": [{"phase": "train", "epoch": 1}], "tap_mean_squares": []},
        **{"model": {}, "in_shape": [1], "num_classes": 2, "params": 1, "macs": 1},
        "view": {"modality": "", "size": None, "mean": [], "std": []},
        "metrics": {"val": {"n": 1, "accuracy": int(job.key[:6], 16) / 2**24, "nll": 1.0}},
        "latency": {"device": "cpu", "median_ms": 1.0, "n": 1},
    }
    store.commit(job.key, {}, record)
    return StageOutcome("done", record=record)


@dataclass(frozen=True)
class Resting(Nothing):
    """A stage that sleeps for so many seconds, and imports no torch."""

    seconds: float = 0.0


def rest(job: Resting, store: Any, setting: Any, on_epoch: Any, tell: Any) -> StageOutcome:
    """Run a stage that sleeps; its record says when it began and ended."""
    began = time.time()
    time.sleep(job.seconds)
    outcome = do_nothing(job, _Nowhere(), setting, on_epoch, tell)
    row = {**outcome.record["history"][0], "began": began, "ended": time.time()}
    record = {**outcome.record, "history": [row]}
    store.commit(job.key, {}, record)
    return StageOutcome("done", record=record)


class _Nowhere:
    def commit(self, *given: Any) -> None:
        """Nothing."""
