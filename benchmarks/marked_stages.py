"""Real stages that say when they begin, learn and end: for `faults.py` and `soak.py`.

In a module that workers import. A mark is a file for each start of a stage, with a line for each
thing that happened in it; a start can be held at an epoch, so that a fault meets it there.
"""

import json
import os
import socket
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
CLOCK_S = "DMTSEARCH_BENCHMARK_CLOCK_S"
"""Where a node has it, its stages run on another machine as far as they know, whose clock is so
many seconds ahead."""
HOLD_S = 0.02
real_time = time.time


@dataclass(frozen=True)
class Start:
    """One start of a stage, as far as it has come.

    Attributes:
        name, key: Of the stage.
        pid, node: Where it runs, or ran.
        epochs: Times at which epochs ended, in Unix seconds; those of a hint phase too.
        end: Time and status (`done`, `stopped`, `reused`, the kind of an error); None before.
        rows: Epochs that the stage has behind it, with those of earlier starts.
    """

    name: str
    key: str
    pid: int
    node: str
    epochs: tuple[float, ...]
    end: tuple[float, str] | None
    rows: int = 0


def marked_stage(
    job: Any, store: Any, setting: Any, on_epoch: Any, tell: Any, *, marks: str, pause_s: float
) -> StageOutcome:
    """Train a stage, and write down what happens to it; rest after each epoch."""
    path = Path(marks, f"{time.time_ns()}-{os.getpid()}.jsonl")
    _append(path, name=job.name, key=job.keys.key, pid=os.getpid(), node=_node())

    def after_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
        _append(path, epoch=real_time(), rows=len(history))
        time.sleep(pause_s)
        while Path(marks, f"hold-{job.name}-{len(history)}").exists():
            time.sleep(HOLD_S)
        return bool(on_epoch(phase, history))

    try:
        outcome = train_stage(job, store, setting, after_epoch, tell)
    except BaseException as error:
        _append(path, end=real_time(), status=type(error).__name__)
        raise
    _append(path, end=real_time(), status="reused" if outcome.reused else outcome.status)
    return outcome


def read_starts(marks: Path) -> list[Start]:
    """All starts, oldest first."""
    found = []
    for path in sorted(marks.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        if lines:
            ends = [(line["end"], line["status"]) for line in lines if "end" in line]
            epochs = tuple(line["epoch"] for line in lines if "epoch" in line)
            rows = max((line["rows"] for line in lines if "rows" in line), default=0)
            end = ends[-1] if ends else None
            found.append(Start(**lines[0], epochs=epochs, end=end, rows=rows))
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


def _go_elsewhere(ahead_s: float) -> None:
    """Let this process take its machine for another one, whose clock is ahead."""
    from dmtsearch.store import process

    time.time = lambda: real_time() + ahead_s
    host = socket.gethostname()
    socket.gethostname = lambda: f"{host}-elsewhere"
    process._machine.cache_clear()


def _append(path: Path, **facts: Any) -> None:
    with path.open("a") as file:
        file.write(json.dumps(facts) + "\n")


def _node() -> str:
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray and ray.is_initialized() else ""


if CLOCK_S in os.environ:
    _go_elsewhere(float(os.environ[CLOCK_S]))
