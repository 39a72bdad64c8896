"""Real stages that say when they begin, learn and end: for `faults.py` and `soak.py`.

In a module that workers import. A mark is a file for each start of a stage, with a line for each
thing that happened in it; a start can be held at an epoch, so that a fault meets it there.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dmtsearch.engine.messages import StageOutcome
from dmtsearch.engine.stage_task import train_stage

MARKS = "DMTSEARCH_BENCHMARK_MARKS"
PAUSE_S = "DMTSEARCH_BENCHMARK_PAUSE_S"
"""Seconds that a stage rests after each epoch; none if not given."""
HOLD_S = 0.02


@dataclass(frozen=True)
class Start:
    """One start of a stage, as far as it has come.

    Attributes:
        name, key: Of the stage.
        pid, node: Where it runs, or ran.
        epochs: Times at which epochs ended, in Unix seconds; those of a hint phase too.
        end: Time and status (`done`, `stopped`, `reused`, the kind of an error); None before.
    """

    name: str
    key: str
    pid: int
    node: str
    epochs: tuple[float, ...]
    end: tuple[float, str] | None


def marked_stage(
    job: Any, store: Any, setting: Any, on_epoch: Any, tell: Any, *, marks: str, pause_s: float
) -> StageOutcome:
    """Train a stage, and write down what happens to it; rest after each epoch."""
    path = Path(marks, f"{time.time_ns()}-{os.getpid()}.jsonl")
    _append(path, name=job.name, key=job.keys.key, pid=os.getpid(), node=_node())

    def after_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
        _append(path, epoch=time.time())
        time.sleep(pause_s)
        while Path(marks, f"hold-{job.name}-{len(history)}").exists():
            time.sleep(HOLD_S)
        return bool(on_epoch(phase, history))

    try:
        outcome = train_stage(job, store, setting, after_epoch, tell)
    except BaseException as error:
        _append(path, end=time.time(), status=type(error).__name__)
        raise
    _append(path, end=time.time(), status="reused" if outcome.reused else outcome.status)
    return outcome


def read_starts(marks: Path) -> list[Start]:
    """All starts, oldest first."""
    found = []
    for path in sorted(marks.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        if lines:
            ends = [(line["end"], line["status"]) for line in lines if "end" in line]
            epochs = tuple(line["epoch"] for line in lines if "epoch" in line)
            found.append(Start(**lines[0], epochs=epochs, end=ends[-1] if ends else None))
    return found


def run_again(starts: list[Start]) -> int:
    """Starts that learned a stage once more after a start of it had finished."""
    finished: dict[str, float] = {}
    for start in starts:
        if start.end is not None and start.end[1] == "done":
            finished[start.key] = min(finished.get(start.key, start.end[0]), start.end[0])
    return sum(
        any(epoch > finished.get(start.key, float("inf")) for epoch in start.epochs)
        for start in starts
    )


def main() -> None:
    """The command line, its stages marked where the environment names a folder for marks."""
    from dmtsearch.cli.main import main as command_line
    from dmtsearch.engine import session
    from dmtsearch.engine.backend import SearchContext

    marks = os.environ.get(MARKS)
    if marks:
        pause_s = float(os.environ.get(PAUSE_S, 0))
        perform = partial(marked_stage, marks=marks, pause_s=pause_s)
        context: Callable[..., SearchContext] = partial(SearchContext, perform=perform)
        session.SearchContext = context  # type: ignore[assignment,misc]
    command_line()


def _append(path: Path, **facts: Any) -> None:
    with path.open("a") as file:
        file.write(json.dumps(facts) + "\n")


def _node() -> str:
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray and ray.is_initialized() else ""
