"""Workers that keep a GPU, and stages that hang or are too large for their share of one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from engine_pieces import Scheduling, all_done, in_loop, scheduling, stage_of

from dmtsearch.engine import Needs, Pulse, StageWorkers
from dmtsearch.files import sha256_text

HALF, WHOLE = Needs(gpu=0.5), Needs(gpu=1.0)


class Cluster:
    """Processes by name, and a clock."""

    def __init__(self) -> None:
        self.alive: list[str] = []
        self.now_s, self._count = 0.0, 0
        self.workers = StageWorkers(self._start, self.alive.remove, lambda: self.now_s)

    def _start(self, needs: Needs) -> str:
        self._count += 1
        self.alive.append(f"{needs.gpu:g} GPU, number {self._count}")
        return self.alive[-1]


def test_a_stage_runs_in_the_worker_with_its_needs_that_was_busy_last() -> None:
    here = Cluster()
    first, second = (here.workers.take(HALF) for _ in range(2))
    here.workers.give_back(first)
    here.workers.give_back(second)
    assert here.workers.take(HALF) is second
    assert here.workers.take(HALF) is first
    assert len(here.alive) == 2


def test_an_idle_worker_gives_way_to_one_with_other_needs_and_a_busy_one_does_not() -> None:
    here = Cluster()
    busy, idle = (here.workers.take(HALF) for _ in range(2))
    here.workers.give_back(idle)
    here.workers.take(WHOLE)
    assert here.alive == [busy.handle, "1 GPU, number 3"]
    here.workers.give_back(busy)
    here.workers.give_way(Needs(cpu=4))  # a stage on a CPU waits for what workers hold
    assert here.alive == ["1 GPU, number 3"]


def test_a_worker_ends_when_it_is_not_used_and_when_others_have_waited_long_for_its_gpu() -> None:
    here = Cluster()
    worker = here.workers.take(HALF)
    here.workers.give_back(worker)
    here.now_s = 29.0
    here.workers.end_unused()
    assert here.alive == [worker.handle]
    here.now_s = 31.0
    here.workers.end_unused()
    assert here.alive == []
    worker = here.workers.take(HALF)
    here.now_s += 601.0
    here.workers.give_back(worker)
    assert here.alive == []


def test_a_worker_that_may_have_died_while_it_was_idle_is_known() -> None:
    here = Cluster()
    assert here.workers.prepare(HALF) == here.alive[0]
    prepared, new = here.workers.take(HALF), here.workers.take(HALF)
    assert (prepared.used, new.used) == (True, False)
    here.workers.end(prepared)
    assert here.alive == [new.handle]


async def beat(here: Scheduling, name: str, cpu_s: float) -> None:
    """A pulse of a stage's process."""
    pulse = Pulse("node", "machine", 1, 1, cpu_s)
    await here.scheduler.beat(sha256_text(name), here.tasks.attempts[name], pulse)


async def until(true: Callable[[], bool], act: Callable[[], Any]) -> None:
    """Act again and again until something is true."""
    for _ in range(2000):
        if true():
            return
        await act()
        await asyncio.sleep(0.01)
    pytest.fail("waited too long")


async def notes_of(here: Scheduling) -> str:
    return "\n".join((await here.scheduler.snapshot("", 0))["notes"])


@in_loop
async def test_a_stage_whose_thread_never_moves_is_ended_said_and_tried_again() -> None:
    here = scheduling(still_s=0.3, pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    await asyncio.sleep(0.5)
    assert here.tasks.started == ["teacher"], "its process has not begun: it may wait for room"
    for moved in range(50):
        await beat(here, "teacher", float(moved))
        await asyncio.sleep(0.01)
    assert here.tasks.started == ["teacher"]
    await until(lambda: len(here.tasks.started) == 2, lambda: beat(here, "teacher", 99.0))
    notes = await notes_of(here)
    assert "stage 'teacher' has not moved for 0.3 s: its process was ended; trying again" in notes
    here.tasks.end("teacher")
    assert (await call).status == "done"


@in_loop
async def test_a_stage_that_hangs_each_time_stops_the_search_and_is_no_answer() -> None:
    here = scheduling(still_s=0.1, pauses_s=(0.0, 0.0))
    call = await here.request(0, stage_of("teacher"))
    await until(call.done, lambda: beat(here, "teacher", 1.0))
    assert here.tasks.started == ["teacher"] * 3
    answer = await call
    assert answer.status == "fault"
    assert "'teacher' has not moved" in answer.reason


@in_loop
async def test_a_stage_that_works_and_reports_nothing_for_many_epochs_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.pending_stage.LONG_EPOCH_S", 0.2)
    here = scheduling(still_s=3.0, pauses_s=(0.0, 0.0))
    await here.request(0, stage_of("teacher"))
    moves = iter(range(10_000))

    async def move() -> None:
        await beat(here, "teacher", float(next(moves)))

    for epoch in (1, 2):
        await move()
        assert await here.progress("teacher", epoch)
    await until(lambda: len(here.tasks.started) == 2, move)
    assert "20 times its longest epoch" in await notes_of(here)


LARGE: dict[str, Any] = {"reason": "too large", "cause": "memory", "alone": True}


@in_loop
async def test_a_stage_too_large_for_its_share_of_a_gpu_is_tried_once_more_with_a_whole_one() -> (
    None
):
    here = scheduling(cpus=4, gpus=1, pauses_s=(0.0, 0.0))
    other = await here.request(0, stage_of("other", gpu=0.25))
    call = await here.request(1, stage_of("large", gpu=0.25))
    here.tasks.end("large", "failed", **LARGE)
    await asyncio.sleep(0.1)
    assert here.tasks.started == ["other", "large"], "the GPU is not free"
    assert "too large; trying again alone on a GPU" in await notes_of(here)
    here.tasks.end("other")
    await other
    await until(lambda: len(here.tasks.started) == 3, all_done)
    small = await here.request(2, stage_of("small", gpu=0.25))
    assert here.tasks.started == ["other", "large", "large"]
    here.tasks.end("large", "failed", **LARGE)
    answer = await call
    assert answer.status == "failed"
    assert answer.reason == ("too large; it was tried twice, the second time with a GPU to itself")
    await until(lambda: len(here.tasks.started) == 4, all_done)
    here.tasks.end("small")
    await small
