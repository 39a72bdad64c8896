"""Stages that do nothing, for `overhead.py`: in a module, so that workers can import them."""

import pickle
from dataclasses import dataclass, field
from typing import Any

from dmtsearch.files import sha256_text
from dmtsearch.search.orders import Needs, StageOutcome
from dmtsearch.search.records import StageRequest
from dmtsearch.search.trials import Prepared


@dataclass(frozen=True)
class Nothing:
    """A stage's job."""

    key: str
    resources: Needs = field(default_factory=Needs)
    snapshots: tuple[Any, ...] = ()


def do_nothing(job: Nothing, store: Any, setting: Any, on_epoch: Any, tell: Any) -> StageOutcome:
    """Run a stage: commit a record, and no payload."""
    record = {
        **{"run": setting.run, "hints_by": [None, None], "epochs": 1, "hint_epochs": 0},
        **{"history": [{"phase": "train", "epoch": 1}], "seconds": 0.0, "hint_seconds": 0.0},
        "metrics": {"val": {"n": 1, "accuracy": int(job.key[:6], 16) / 2**24, "nll": 1.0}},
        "latency": {"device": "cpu", "median_ms": 1.0, "n": 1},
    }
    store.commit(job.key, {}, record)
    return StageOutcome("done", record=record)


def prepare(schedule: Any) -> Prepared:
    """A schedule as two stages that do nothing."""
    soft = schedule.stages["last"].soft
    keys = [sha256_text("first"), sha256_text(f"{soft.temperature} {soft.weight}")]
    first = StageRequest("first", keys[0], (), "mlp", 1, 1, 1, 0, 10)
    last = StageRequest("last", keys[1], ("first",), "mlp", 1, 1, 1, 0, 5)
    jobs = tuple(pickle.dumps(Nothing(key)) for key in keys)
    return Prepared((first, last), jobs, "last", params=1, macs=1, cold_cost=15)
