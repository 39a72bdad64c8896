"""Small real things for the tests of the engine: stages, a store in memory, tasks one can end."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar

from dmtsearch.engine import (
    ClusterNode,
    EpochCosts,
    Needs,
    RunnableStage,
    StageOutcome,
    StageRequest,
    StageScheduler,
)
from dmtsearch.files import sha256_text


def request_of(
    name: str, *sources: str, cost: int = 100, epochs: int = 4, hint_epochs: int = 0
) -> StageRequest:
    return StageRequest(
        name=name,
        key=sha256_text(name),
        sources=sources,
        model="plain 8-16",
        params=10,
        macs=20,
        epochs=epochs,
        hint_epochs=hint_epochs,
        cost=cost,
    )


def stage_of(
    name: str, *, path_cost: int = 100, cpu: float = 1.0, gpu: float = 0.0, **more: Any
) -> RunnableStage:
    return RunnableStage(
        request=request_of(name),
        job=b"",
        needs=Needs(cpu=cpu, gpu=gpu),
        snapshots=more.pop("snapshots", ()),
        path_cost=path_cost,
        costs=EpochCosts(epoch=25, hint_epoch=0, sources=0, repeated=False),
    )


def record_of(run: str | None = "this-run", **more: Any) -> dict[str, Any]:
    return {
        "run": run,
        "hints_by": [None, None],
        "epochs": 4,
        "hint_epochs": 0,
        "history": [{"phase": "train", "epoch": epoch} for epoch in range(1, 5)],
        "metrics": {"val": {"n": 50, "accuracy": 0.5, "nll": 1.0, "ece": 0.1}},
        "latency": {"device": "cpu", "median_ms": 1.0, "n": 9},
        "seconds": 2.0,
        "hint_seconds": 0.0,
        **more,
    }


@dataclass
class Found:
    """An object of the store."""

    record: dict[str, Any]
    failed: bool = False


@dataclass
class Memory:
    """A store in memory."""

    objects: dict[str, Found] = field(default_factory=dict)

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        on_damage: Callable[[str], None] | None = None,
        check: Callable[[Any], None] | None = None,
    ) -> Found | None:
        return self.objects.get(key)


class Tasks:
    """Stage tasks that end when the test says so."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.started: list[str] = []
        self.attempts: dict[str, str] = {}
        self.needs: dict[str, Needs] = {}
        self._ends: dict[str, asyncio.Future[StageOutcome]] = {}

    async def launch(self, stage: RunnableStage, attempt: str, title: str) -> StageOutcome:
        name = stage.request.name
        self.started.append(name)
        self.attempts[name] = attempt
        self.needs[name] = stage.needs
        self._ends[name] = asyncio.get_running_loop().create_future()
        return await self._ends[name]

    def end(self, name: str, status: str = "done", **facts: Any) -> None:
        record: Mapping[str, Any] = record_of() if status == "done" else {}
        if status == "done":
            self._memory.objects[sha256_text(name)] = Found(dict(record))
        self._ends[name].set_result(StageOutcome(status, record=record, **facts))


@dataclass
class Scheduling:
    """A stage scheduler with everything around it."""

    scheduler: StageScheduler
    tasks: Tasks
    memory: Memory
    nodes: list[ClusterNode]

    async def request(
        self, trial: int, stage: RunnableStage, *, watched: bool = False
    ) -> "asyncio.Task[Any]":
        """A trial requests a stage; returns once the scheduler has done what it can."""
        call = asyncio.create_task(self.scheduler.get_stage(trial, stage, watched))
        await all_done()
        return call

    async def progress(self, name: str, epoch: int, *, epochs: int = 4) -> bool:
        rows = [{"phase": "train", "epoch": number} for number in range(1, epoch + 1)]
        attempt = self.tasks.attempts[name]
        return await self.scheduler.progress(
            sha256_text(name), attempt, ("train", epoch, epochs), rows
        )


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in a loop of its own, and end what the scheduler still does."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def all_done() -> None:
    """Let the scheduler's own tasks, and its threads, do what is to be done."""
    for _ in range(10):
        await asyncio.sleep(0.005)
        begun = [asyncio.wrap_future(one) for one in _Threads.begun if not one.done()]
        if begun:  # they may be slow on a busy machine
            await asyncio.wait(begun)


class _Threads(ThreadPoolExecutor):
    """Where the scheduler's calls of the store run: remembers what was begun."""

    begun: ClassVar[list[Future[Any]]] = []

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        found = super().submit(*args, **kwargs)
        self.begun.append(found)
        return found


def scheduling(
    *,
    cpus: float = 2.0,
    gpus: float = 0.0,
    first: int = 0,
    nodes: list[ClusterNode] | None = None,
    **options: Any,
) -> Scheduling:
    """A scheduler in the running event loop."""
    memory = Memory()
    _Threads.begun.clear()
    asyncio.get_running_loop().set_default_executor(_Threads())
    tasks = Tasks(memory)
    nodes = nodes or [ClusterNode("one", cpu=cpus, gpu=gpus, memory=1e9)]
    scheduler = StageScheduler(memory, tasks.launch, lambda: list(nodes), first=first, **options)
    return Scheduling(scheduler, tasks, memory, nodes)
