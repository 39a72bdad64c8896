"""Trials whose stages do next to nothing, run by the real engine: on a real Ray, or inline."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import untrained

from dmtsearch.engine import (
    LiveState,
    Needs,
    Perform,
    Prepared,
    RunnableTrial,
    RunPaths,
    RunStarted,
    RunState,
    SearchContext,
    Searcher,
    StageOutcome,
    StageSetting,
    StatusWriter,
    prepare_environment,
    run_inline,
    runnable_stages,
)
from dmtsearch.space import Space
from dmtsearch.store import Store, open_store


@dataclass(frozen=True)
class Nothing:
    """A job: takes `seconds`, then commits a record, and marks that it ran."""

    key: str
    name: str
    marks: str
    epochs: int
    seconds: float = 0.0
    resources: Needs = field(default_factory=Needs)
    snapshots: tuple[Any, ...] = ()


def do_nothing(
    job: Nothing, store: Store, setting: StageSetting, on_epoch: Any, tell: Any
) -> StageOutcome:
    """Run a job: one mark for each time, so that a test can count; it says on which node."""
    Path(job.marks, f"{job.name}-{job.key[:8]}-{time.time_ns()}").write_text(_node())
    rows: list[dict[str, Any]] = []
    for row in untrained.curve_of(job.key, job.epochs):
        time.sleep(job.seconds / job.epochs)
        rows.append(row)
        if not on_epoch(("train", len(rows), job.epochs), tuple(rows)):
            return StageOutcome("stopped", history=tuple(rows))
    if job.name == "student" and int(job.key[:2], 16) % 5 == 0:
        raise ValueError("this student breaks")
    record = {
        **untrained.record_of(job.key),
        **{"run": setting.run, "hints_by": [None, None], "epochs": job.epochs, "hint_epochs": 0},
        **{"history": rows, "seconds": 0.0, "hint_seconds": 0.0},
    }
    store.commit(job.key, {}, record)
    return StageOutcome("done", record=record)


def _node() -> str:
    if "ray" not in sys.modules:
        return "this process"
    import ray

    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else "no node"


@contextmanager
def ray_settings() -> Iterator[None]:
    """What is set before Ray is imported: its workers find the jobs of these tests."""
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.delenv("RAY_ADDRESS", raising=False)
        prepare_environment("local", os.environ)
        yield


def preparer(
    marks: Path, *, seconds: float, needs: Needs | Callable[[Any], Needs]
) -> Callable[[Any], Prepared]:
    """`prepare` for such trials; `needs` of all stages, or of a stage's request."""

    def prepare(schedule: Any) -> Prepared:
        prepared = untrained.prepare(schedule)
        jobs = [
            Nothing(
                *(r.key, r.name, str(marks), r.epochs, seconds),
                needs if isinstance(needs, Needs) else needs(r),
            )
            for r in prepared.requests
        ]
        return replace(
            prepared,
            stages=runnable_stages(prepared.requests, jobs, [job.resources for job in jobs]),
        )

    return prepare


class RememberingView:
    """A view that remembers."""

    def __init__(self) -> None:
        self.states: list[LiveState] = []

    def begin(self, stream: Any) -> None: ...
    def end(self) -> None: ...
    def tell(self, text: str) -> None: ...
    def show(self, state: LiveState) -> None:
        self.states.append(state)


class Stop:
    """A search that is to stop when a test says so."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self._asked = asked

    @property
    def asked(self) -> bool:
        return self._asked()

    def let_break(self, allowed: bool) -> None: ...


@dataclass
class Outcome:
    """What came of a search."""

    state: RunState
    reason: str | None
    marks: list[str]
    states: list[LiveState]
    log: str


def run_null(
    folder: Path,
    space: Space,
    *,
    trials: int,
    inline: bool = False,
    concurrency: int = 4,
    coordinators: int | None = None,
    seconds: float = 0.0,
    needs: Needs | Callable[[Any], Needs] | None = None,
    still_s: float = 300.0,
    time_budget_s: float | None = None,
    stop_asked: Callable[[], bool] = lambda: False,
    stop: Any = None,
    perform: Perform = do_nothing,
    between: Callable[[], None] = lambda: None,
) -> Outcome:
    """Search `space` by stages that do nothing; `between` is called before each trial.

    On the Ray that this process is connected to, or `inline`: without it.
    """
    folder.mkdir(exist_ok=True)
    marks = folder / "marks"
    marks.mkdir(exist_ok=True)
    paths = RunPaths(folder)
    prepare = preparer(marks, seconds=seconds, needs=needs or Needs())
    searcher = Searcher(space, paths, trials=trials, seed=0, prepare=prepare)
    searcher.record(
        RunStarted("null", "", False, 0, trials, concurrency, {"val_accuracy": "max"}, {}, "test")
    )
    propose = searcher.next

    def next_trial() -> RunnableTrial | None:
        between()
        return propose()

    searcher.next = next_trial  # type: ignore[method-assign]
    view, log = RememberingView(), []
    context = SearchContext(
        run="null",
        stage=StageSetting("null", None, False, str(folder), 20.0, still_s),
        searcher=searcher,
        store=open_store(str(folder / "store")),
        status=StatusWriter(paths, view, log.append),
        stop=stop or Stop(stop_asked),
        time_budget_s=time_budget_s,
        perform=perform,
    )
    if inline:
        run: Any = partial(run_inline, pauses_s=(0.0, 0.0))
    else:
        from dmtsearch.engine import run_trials

        run = partial(run_trials, concurrency=concurrency, coordinators=coordinators)
    reason = run(context)
    searcher.stop(reason)
    return Outcome(
        searcher.state,
        reason,
        sorted(path.name for path in marks.iterdir()),
        view.states,
        "\n".join(log),
    )
