"""The broker without Ray: who waits for which stage, which one runs next, which one stops."""

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from .entry import Entry, happens
from .orders import Answer, StageEvent, StageOrder, StageOutcome, TrialOrders
from .slots import Node, Slots

GRACE_S = 10.0
"""A stage whose waiters were lost runs on for so long; they may come again."""
BARRIER_S = 15.0
"""The first coordinators wait for one another at most so long."""
APPROVAL_S = 2.0
"""An epoch of a watched stage waits for its pruner's word at most so long."""
INFEASIBLE_S = 5.0
"""A stage that fits no node waits so long for one to join before it fails."""
PATIENCE_S = 60.0
"""Once the first in the queue has waited so long, nothing overtakes it."""
NODES_EVERY_S = 5.0

Launch = Callable[[StageOrder, str], Awaitable[StageOutcome]]


class StoredRecord(Protocol):
    """What a look into the store gives."""

    @property
    def failed(self) -> bool: ...
    @property
    def record(self) -> dict[str, Any]: ...


class Shelf(Protocol):
    """What the desk asks of the store."""

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        on_damage: Callable[[str], None] | None = None,
    ) -> StoredRecord | None: ...


class Desk:
    """One for each run. Callers only enqueue and await; one dispatcher starts the stages.

    After its own restart it knows nothing: requests carry their stage and are asked again, and
    finished stages are in the store.

    Args:
        shelf: The store.
        launch: Starts a stage's task; called with the order and the attempt's id.
        look: The cluster's nodes now; blocks, so it is called in a thread.
        first: How many coordinators `hello` waits for.
    """

    def __init__(
        self,
        shelf: Shelf,
        launch: Launch,
        look: Callable[[], Sequence[Node]],
        *,
        first: int,
        grace_s: float = GRACE_S,
        barrier_s: float = BARRIER_S,
    ) -> None:
        self.life = uuid.uuid4().hex
        self._shelf, self._launch, self._look = shelf, launch, look
        self._grace_s, self._barrier_s = grace_s, barrier_s
        self._first, self._callers, self._together = first, set[int](), asyncio.Event()
        self._barrier_ends: float | None = None
        self._plans: dict[int, asyncio.Future[TrialOrders]] = {}
        self._released: set[int] = set()
        self._entries: dict[str, Entry] = {}
        self._done: dict[str, tuple[Answer, frozenset[str]]] = {}
        self._events: list[StageEvent] = []
        self._notes: list[str] = []
        self._numbers = 0
        self._slots = Slots(look())
        self._looked = time.monotonic()
        self._draining = False
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._dispatch())

    # -- what coordinators ask ----------------------------------------------------------------

    async def hello(self, pid: int) -> str:
        """Wait for the other first coordinators, so that all processes start before one ends.

        Only then does Tune find a process to use again for each trial that follows.
        """
        self._callers.add(pid)
        if self._barrier_ends is None:
            self._barrier_ends = time.monotonic() + self._barrier_s
        self._open_barrier()
        left = self._barrier_ends - time.monotonic()
        if left > 0:
            await happens(self._together, left)
        return self.life

    async def expect(self, first: int) -> None:
        """There will be no more than `first` coordinators."""
        self._first = first
        self._open_barrier()

    def _open_barrier(self) -> None:
        if len(self._callers) >= self._first:
            self._together.set()

    async def orders(self, trial: int) -> TrialOrders:
        """What a trial asks for, once the driver has given it."""
        return await asyncio.shield(self._plan(trial))

    async def obtain(self, trial: int, order: StageOrder, watched: bool = False) -> Answer:
        """Return a stage's result once it is there; the same whoever asks, and however often.

        Args:
            trial: Who asks.
            order: Which stage, with all that running it needs.
            watched: Whether the trial will `follow` it; its epochs then wait for its word.
        """
        while True:
            if self._draining or trial in self._released:
                return Answer("interrupted")
            known = self._done.get(order.key)
            if known is not None and known[1].issuperset(order.snapshots):
                return known[0]
            entry = self._entries.get(order.key)
            if entry is None:
                entry = Entry(order, trial)
                self._entries[order.key] = entry
                self._spawn(self._look_up(entry))
            entry.join(trial, order, watched=watched)
            self._wake.set()
            answer = await asyncio.shield(entry.answer)
            if answer.status != "done" or trial in self._released:
                return answer
            if self._done[order.key][1].issuperset(order.snapshots):
                return answer

    async def follow(
        self, trial: int, key: str, seen: int, wait_s: float = 30.0
    ) -> tuple[Mapping[str, Any], ...]:
        """The history of a running stage once it is longer than `seen` rows, else nothing.

        Asking for more says that the trial goes on after the rows that it has seen.
        """
        entry = self._entries.get(key)
        if entry is None:
            await asyncio.sleep(0.2)  # it has ended, or the request for it comes a moment later
            return ()
        entry.approve(trial, seen)
        return await entry.longer_than(seen, wait_s)

    # -- what stage tasks tell ------------------------------------------------------------------

    async def progress(
        self, key: str, attempt: str, phase: tuple[str, int, int], history: Sequence[Any]
    ) -> bool:
        """Take a stage's whole history after an epoch; the answer says whether it goes on.

        Args:
            key: Of the stage.
            attempt: Which of its starts.
            phase: Name, epochs done, epochs at most.
            history: All rows so far.
        """
        entry = self._entries.get(key)
        if entry is None or entry.attempt != attempt:
            return False
        entry.advance(phase, tuple(history))
        if entry.watchers:
            await entry.approved(len(history), APPROVAL_S)
        return not self._draining and not entry.unwanted(self._grace_s)

    async def note(self, text: str) -> None:
        """Keep a sentence for the log."""
        self._notes.append(text)

    # -- what the driver asks -------------------------------------------------------------------

    async def give(self, orders: TrialOrders) -> None:
        """Take what a trial will ask for."""
        plan = self._plan(orders.trial)
        if not plan.done():
            plan.set_result(orders)

    async def release(self, trials: Iterable[int], at_once: bool) -> None:
        """These trials are over: stop waiting for them, and stop what nobody else waits for.

        Args:
            trials: Their numbers.
            at_once: Stop now, not after the grace period for lost waiters.
        """
        for trial in trials:
            self._released.add(trial)
            self._plans.pop(trial, None)
            for entry in self._entries.values():
                entry.leave(trial, at_once=at_once)
        self._wake.set()

    async def drain(self) -> None:
        """Answer every pending call `interrupted`; stages stop at the end of their epoch."""
        self._draining = True
        self._together.set()
        for trial, plan in self._plans.items():
            if not plan.done():
                plan.set_result(TrialOrders(trial, (), "", False))
        for entry in list(self._entries.values()):
            entry.settle(Answer("interrupted"))
            if not entry.running:
                self._entries.pop(entry.key, None)
        self._wake.set()

    async def snapshot(self, life: str, after: int) -> dict[str, Any]:
        """What goes on, and the events after number `after` of the life that the caller knows."""
        if life == self.life:
            self._events = [event for event in self._events if event.number > after]
        notes, self._notes = self._notes, []
        entries = self._entries.values()
        return {
            "life": self.life,
            "pid": os.getpid(),
            "events": list(self._events),
            "notes": notes,
            "running": [entry.view() for entry in entries if entry.running],
            "waiting": [entry.request.name for entry in entries if entry.queued],
        }

    # -- the dispatcher -------------------------------------------------------------------------

    async def _look_up(self, entry: Entry) -> None:
        """Find a stage in the store, or put it in the queue."""
        try:
            found = await asyncio.to_thread(self._find, entry.order)
        except Exception as error:
            self._end(entry, StageOutcome("failed", reason=str(error)))
            return
        if found is None:
            entry.queued = True
            entry.since = time.monotonic()
            self._wake.set()
        else:
            self._end(entry, found)

    def _find(self, order: StageOrder) -> StageOutcome | None:
        found = self._shelf.get(order.key, verify=True, on_damage=self._notes.append)
        if found is None or found.failed:
            return None  # the stage's task puts a stored failure into words
        if any(self._shelf.get(key) is None for key in order.snapshots):
            return None
        return StageOutcome("done", record=found.record, reused=True)

    async def _dispatch(self) -> None:
        while True:
            await self._woken()
            if time.monotonic() - self._looked > NODES_EVERY_S:
                self._looked = time.monotonic()
                with suppress(Exception):  # the next look may succeed; the last one still stands
                    self._slots.refresh(await asyncio.to_thread(self._look))
            self._start_what_fits()

    async def _woken(self, at_most_s: float = 1.0) -> None:
        """Wait until something has changed, or a little while."""
        # Not `wait_for`: before Python 3.12 it swallows a cancel that meets the end of the wait.
        waiter = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({waiter}, timeout=at_most_s)
        finally:
            waiter.cancel()
        self._wake.clear()

    def _start_what_fits(self) -> None:
        for entry in list(self._entries.values()):
            if entry.queued and entry.unwanted(self._grace_s):
                self._entries.pop(entry.key)
                entry.settle(Answer("interrupted"))
        waiting = [entry for entry in self._entries.values() if entry.queued]
        for entry in sorted(waiting, key=Entry.rank):
            waited = time.monotonic() - entry.since
            if not self._slots.could_hold(entry.order.needs):
                if waited > INFEASIBLE_S:
                    reason = (
                        f"stage {entry.request.name!r} asks for {entry.order.needs}, but "
                        f"{self._slots.largest()}; lower its `resources`"
                    )
                    self._end(entry, StageOutcome("failed", reason=reason))
            elif self._slots.take(entry.key, entry.order.needs):
                entry.queued, entry.running, entry.attempt = False, True, uuid.uuid4().hex
                self._spawn(self._run(entry))
            elif waited > PATIENCE_S:
                break

    async def _run(self, entry: Entry) -> None:
        try:
            outcome = await self._launch(entry.order, entry.attempt)
        except Exception as error:
            outcome = StageOutcome("failed", reason=str(error) or type(error).__name__)
        self._slots.free(entry.key)
        entry.running = False
        if outcome.status == "stopped" and entry.waiters and not self._draining:
            # Somebody asked for it after it was told to stop: it goes on from its checkpoint.
            entry.queued, entry.since = True, time.monotonic()
        else:
            self._end(entry, outcome)
        self._wake.set()

    def _end(self, entry: Entry, outcome: StageOutcome) -> None:
        self._entries.pop(entry.key, None)
        self._numbers += 1
        if not outcome.history and not outcome.record:
            outcome = replace(outcome, history=entry.history)
        self._events.append(
            StageEvent(self._numbers, entry.request, entry.order.costs, entry.asked_by, outcome)
        )
        if outcome.status == "done":
            answer = Answer("done", outcome.record)
            self._done[entry.key] = (answer, frozenset(entry.order.snapshots))
        elif outcome.status == "failed":
            answer = Answer("failed", reason=outcome.reason)
        else:
            answer = Answer("interrupted")
        entry.settle(answer)

    def _plan(self, trial: int) -> "asyncio.Future[TrialOrders]":
        if trial not in self._plans:
            self._plans[trial] = asyncio.get_running_loop().create_future()
        return self._plans[trial]

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
