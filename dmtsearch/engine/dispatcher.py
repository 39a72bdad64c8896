"""Starts stages: looks into the store first, then the longest way first, and only what fits."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from ..training.stored_records import check_stage
from .entry import Entry
from .faults import PAUSES_S, after_failure, store_outcome
from .orders import Answer, StageEvent, StageOrder, StageOutcome
from .slots import Node, Slots

INFEASIBLE_S = 5.0
"""A stage that fits no node waits so long for one to join before it fails."""
LOST_NODE_S = 30.0
"""One that fitted a node which has gone waits so long for another."""
PATIENCE_S = 60.0
"""Once the first in the queue has waited so long, nothing overtakes it."""
NODES_EVERY_S = 5.0

Launch = Callable[[StageOrder, str], Awaitable[StageOutcome]]
Look = Callable[[], Sequence[Node]]
FindOrder = Callable[[str, frozenset[int]], StageOrder | None]
"""The order that makes a stored object, from those of some trials; None where there is none."""


class StoredRecord(Protocol):
    """What a look into the store gives."""

    @property
    def failed(self) -> bool: ...
    @property
    def record(self) -> dict[str, Any]: ...


class Shelf(Protocol):
    """What is asked of the store."""

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        on_damage: Callable[[str], None] | None = None,
        check: Callable[[StoredRecord], None] | None = None,
    ) -> StoredRecord | None: ...


def find_finished(
    shelf: Shelf, order: StageOrder, note: Callable[[str], None]
) -> StageOutcome | None:
    """A stage's result, if the store has it with all snapshots that others learn from.

    Args:
        shelf: The store.
        order: Which stage.
        note: Given a sentence about what is damaged.
    """
    found = shelf.get(order.key, verify=True, on_damage=note, check=check_stage)
    if found is None or found.failed:
        return None  # whoever starts the stage puts a stored failure into words
    if any(shelf.get(key, on_damage=note) is None for key in order.snapshots):
        return None
    return StageOutcome("done", record=found.record, reused=True)


class Dispatcher:
    """Owns every stage that was asked for and has not ended.

    Args:
        shelf: The store.
        launch: Starts a stage's task; called with the order and the attempt's id.
        look: The cluster's nodes now; blocks, so it is called in a thread.
        find_order: Finds how an object is made that a stage does not find in the store.
        grace_s: A stage whose waiters were lost runs on for so long.
        pauses_s: Before the second start of a stage that met a fault, and before the third.
    """

    def __init__(
        self,
        shelf: Shelf,
        launch: Launch,
        look: Look,
        find_order: FindOrder,
        *,
        grace_s: float,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._shelf, self._launch, self._look = shelf, launch, look
        self._find_order, self._pauses_s = find_order, pauses_s
        self._grace_s = grace_s
        self.entries: dict[str, Entry] = {}
        self.events: list[StageEvent] = []
        self.notes: list[str] = []
        self.slots = Slots(look())
        self.draining = False
        self._done: dict[str, tuple[Answer, frozenset[str]]] = {}
        self._numbers = 0
        self._looked = time.monotonic()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._spawn(self._dispatch())

    def known(self, order: StageOrder) -> Answer | None:
        """The answer of a stage that has ended well, with all its snapshots."""
        answer, snapshots = self._done.get(order.key, (None, frozenset()))
        return answer if snapshots.issuperset(order.snapshots) else None

    def forget(self, keys: Iterable[str]) -> None:
        """These objects are gone from the store: their stages are made again when asked for."""
        for key in keys:
            self._done.pop(key, None)

    def join(self, trial: int, order: StageOrder, *, watched: bool) -> Entry:
        """Let a trial wait for a stage, which is begun if nobody has asked for it."""
        entry = self.entries.get(order.key)
        if entry is None:
            entry = Entry(order, trial)
            self.entries[order.key] = entry
            self._spawn(self._look_up(entry))
        entry.join(trial, order, watched=watched)
        self.wake()
        return entry

    def wake(self) -> None:
        """Something has changed: look at the queue."""
        self._wake.set()

    def drain(self) -> None:
        """Start nothing more, and answer all who wait."""
        self.draining = True
        for entry in list(self.entries.values()):
            entry.settle(Answer("interrupted"))
            if not entry.running:
                self.entries.pop(entry.key, None)
        self.wake()

    async def stopped(self, wait_s: float) -> None:
        """Wait for running stages that nobody wants, and that have reached an epoch's end."""
        ends = [
            entry.answer
            for entry in self.entries.values()
            if entry.running and entry.held and entry.unwanted(self._grace_s)
        ]
        if ends:
            await asyncio.wait(ends, timeout=wait_s)

    async def _look_up(self, entry: Entry) -> None:
        """Find a stage in the store, or put it in the queue."""
        try:
            found = await asyncio.to_thread(
                find_finished, self._shelf, entry.order, self.notes.append
            )
        except Exception as error:
            await self._go_on(entry, store_outcome(error))
            return
        if found is None:
            self._queue(entry)
        else:
            self._end(entry, found)

    async def _dispatch(self) -> None:
        while True:
            await self._woken()
            if time.monotonic() - self._looked > NODES_EVERY_S:
                self._looked = time.monotonic()
                with suppress(Exception):  # the next look may succeed; the last one still stands
                    self.slots.refresh(await asyncio.to_thread(self._look))
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
        for entry in list(self.entries.values()):
            if entry.queued and entry.unwanted(self._grace_s):
                self.entries.pop(entry.key)
                entry.settle(Answer("interrupted"))
        waiting = [entry for entry in self.entries.values() if entry.queued]
        for entry in sorted(waiting, key=Entry.rank):
            waited = time.monotonic() - entry.since
            if not self.slots.could_hold(entry.order.needs):
                self._refuse_oversized(entry, waited)
            elif self.slots.take(entry.key, entry.order.needs):
                entry.queued, entry.running, entry.attempt = False, True, uuid.uuid4().hex
                entry.held = False
                self._spawn(self._run(entry))
            elif waited > PATIENCE_S:
                break

    def _refuse_oversized(self, entry: Entry, waited: float) -> None:
        """End a stage that fits no node, once none has joined for a while."""
        needs, name = entry.order.needs, entry.request.name
        if self.slots.once_held(needs):
            if waited > LOST_NODE_S:
                reason = (
                    f"the node that could run stage {name!r} ({needs}) has left the cluster, and "
                    f"{self.slots.largest()}"
                )
                self._give_up(entry, reason)
        elif waited > INFEASIBLE_S:
            reason = (
                f"stage {name!r} asks for {needs}, but {self.slots.largest()}; lower its "
                "`resources`"
            )
            self._end(entry, StageOutcome("failed", reason=reason, certain=True))

    async def _run(self, entry: Entry) -> None:
        try:
            outcome = await self._launch(entry.order, entry.attempt)
        except Exception as error:
            outcome = store_outcome(error)
        self.slots.free(entry.key)
        entry.running = False
        if outcome.status == "stopped" and entry.waiters:
            # Still needed: it goes on from its checkpoint, here, or under the next driver, who
            # will write down the whole of it.
            if self.draining:
                self.entries.pop(entry.key, None)
            else:
                self._queue(entry)
        elif outcome.status == "failed":
            await self._go_on(entry, outcome)
        else:
            self._end(entry, outcome)
        self._wake.set()

    def _queue(self, entry: Entry) -> None:
        entry.queued, entry.since = True, time.monotonic()
        self._wake.set()

    async def _go_on(self, entry: Entry, outcome: StageOutcome) -> None:
        """End a stage by an answer; try it again after a fault, and give up where none helps."""
        if outcome.trace:
            self.notes.append(outcome.trace)
            outcome = replace(outcome, trace=None)
        entry.faults.append(outcome.cause)
        step = after_failure(outcome, entry.faults)
        if step == "answer":
            self._end(entry, replace(outcome, certain=True))
            return
        reason = outcome.reason or "no reason is known"
        if self.draining or entry.unwanted(self._grace_s):
            self.entries.pop(entry.key, None)
            entry.settle(Answer("interrupted"))
        elif step == "give up":
            self._give_up(entry, reason)
        else:
            self.notes.append(f"{reason}; trying again")
            sources = await self._make_again(entry, outcome.missing)
            if sources is not None:
                self._give_up(entry, sources.reason, status=sources.status)
                return
            await asyncio.sleep(self._pauses_s[len(entry.faults) - 1])
            if self.entries.get(entry.key) is entry:  # not drained meanwhile
                self._queue(entry)

    async def _make_again(self, entry: Entry, keys: Iterable[str]) -> Answer | None:
        """Make objects that a stage did not find; an answer where that does not end well."""
        for key in keys:
            order = self._find_order(key, frozenset({*entry.waiters, entry.asked_by}))
            if order is None:
                continue  # a restarted broker: the driver gives it the orders in a moment
            self.forget([order.key])
            for trial in entry.waiters or {entry.asked_by}:
                made = self.join(trial, order, watched=False)
            answer = await asyncio.shield(made.answer)
            if answer.status != "done":
                return answer
        return None

    def _give_up(self, entry: Entry, reason: str | None, *, status: str = "fault") -> None:
        """Answer all who wait that a stage is not to be had; the ledger hears nothing of it."""
        self.entries.pop(entry.key, None)
        entry.settle(Answer(status, reason=reason))

    def _end(self, entry: Entry, outcome: StageOutcome) -> None:
        self.entries.pop(entry.key, None)
        self._numbers += 1
        if not outcome.history and not outcome.record:
            outcome = replace(outcome, history=entry.history)
        self.events.append(
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

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
