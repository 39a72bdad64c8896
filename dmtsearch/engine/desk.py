"""The broker without Ray: who waits for which stage, which one runs next, which one stops."""

import asyncio
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .dispatcher import Dispatcher, Launch, Look, Shelf
from .entry import Entry, happens
from .faults import PAUSES_S
from .orders import Answer, StageOrder, TrialOrders

GRACE_S = 10.0
"""A stage whose waiters were lost runs on for so long; they may come again."""
BARRIER_S = 15.0
"""The first coordinators wait for one another at most so long."""
APPROVAL_S = 2.0
"""An epoch of a watched stage waits for its pruner's word at most so long."""

SAVED_S = 1.0
"""A stage that has been stopped is waited for at most so long, while it saves its last epoch."""


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
        look: Look,
        *,
        first: int,
        grace_s: float = GRACE_S,
        barrier_s: float = BARRIER_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self.life = uuid.uuid4().hex
        self._grace_s, self._barrier_s = grace_s, barrier_s
        self._first, self._callers, self._together = first, set[int](), asyncio.Event()
        self._barrier_ends: float | None = None
        self._plans: dict[int, asyncio.Future[TrialOrders]] = {}
        self._released: set[int] = set()
        self._early: dict[tuple[int, str], Entry] = {}
        self._stages = Dispatcher(
            shelf, launch, look, self._find_order, grace_s=grace_s, pauses_s=pauses_s
        )

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
        """What a trial asks for, once the driver has given it, and what of it is done already."""
        orders = await asyncio.shield(self._plan(trial))
        done = tuple(
            order.request.name
            for order in orders.orders
            if order.request.name != orders.deliver and self._stages.known(order) is not None
        )
        return replace(orders, done=done)

    async def obtain(self, trial: int, order: StageOrder, watched: bool = False) -> Answer:
        """Return a stage's result once it is there; the same whoever asks, and however often.

        Args:
            trial: Who asks.
            order: Which stage, with all that running it needs.
            watched: Whether the trial will `follow` it; its epochs then wait for its word.
        """
        while True:
            if self._stages.draining or trial in self._released:
                return Answer("interrupted")
            early = self._early.pop((trial, order.key), None)
            known = self._stages.known(order)
            if known is not None:
                return known
            if early is not None and early.answer.done() and not early.ended_well:
                return early.answer.result()
            entry = self._stages.join(trial, order, watched=watched)
            answer = await asyncio.shield(entry.answer)
            # One that was running when this order joined it may lack snapshots: asked for again.
            if answer.status != "done" or self._stages.known(order) is not None:
                return answer

    async def follow(
        self, trial: int, key: str, seen: int, wait_s: float = 30.0
    ) -> tuple[Mapping[str, Any], ...]:
        """The history of a running stage once it is longer than `seen` rows, else nothing.

        Asking for more says that the trial goes on after the rows that it has seen.
        """
        entry = self._stages.entries.get(key)
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
        entry = self._stages.entries.get(key)
        if entry is None or entry.attempt != attempt:
            return False
        entry.held = True
        entry.advance(phase, tuple(history))
        if entry.watchers:
            await entry.approved(len(history), APPROVAL_S)
        entry.held = self._stages.draining or entry.unwanted(self._grace_s)
        return not entry.held

    async def note(self, text: str) -> None:
        """Keep a sentence for the log."""
        self._stages.notes.append(text)

    # -- what the driver asks -------------------------------------------------------------------

    async def give(self, orders: TrialOrders) -> None:
        """Take what a trial will ask for, and begin with what needs no other stage.

        So the first stages train while the processes of the first coordinators still start.
        """
        plan = self._plan(orders.trial)
        if plan.done():
            return
        plan.set_result(orders)
        if self._stages.draining or orders.trial in self._released:
            return
        for order in orders.orders:
            # One whose epochs wait for a pruner's word waits for the coordinator that brings it.
            is_followed = orders.watched and order.request.name == orders.deliver
            is_open = self._stages.known(order) is None
            if is_open and not order.request.sources and not is_followed:
                early = self._stages.join(orders.trial, order, watched=False)
                self._early[orders.trial, order.key] = early

    async def release(self, trials: Iterable[int], at_once: bool) -> None:
        """These trials are over: stop waiting for them, and stop what nobody else waits for.

        Args:
            trials: Their numbers.
            at_once: Stop now, not after the grace period for lost waiters.
        """
        for trial in trials:
            self._released.add(trial)
            self._plans.pop(trial, None)
            for known in [known for known in self._early if known[0] == trial]:
                del self._early[known]
            for entry in self._stages.entries.values():
                entry.leave(trial, at_once=at_once)
        self._stages.wake()

    async def forget(self, keys: Iterable[str]) -> None:
        """These objects are gone from the store: whoever asks for their stages gets new ones."""
        self._stages.forget(keys)

    async def drain(self) -> None:
        """Answer every pending call `interrupted`; stages stop at the end of their epoch."""
        self._together.set()
        for trial, plan in self._plans.items():
            if not plan.done():
                plan.set_result(TrialOrders(trial, (), "", False))
        self._stages.drain()

    async def settle(
        self, trials: Iterable[int], at_once: bool, life: str, after: int
    ) -> dict[str, Any]:
        """`release`, and then `snapshot`, in one call.

        Stages that only save what they have before they stop are waited for a moment: the ledger
        has their lines before the end of the trial that stopped them.
        """
        await self.release(trials, at_once)
        await self._stages.stopped(SAVED_S)
        return await self.snapshot(life, after)

    async def snapshot(self, life: str, after: int) -> dict[str, Any]:
        """What goes on, and the events after number `after` of the life that the caller knows."""
        stages = self._stages
        if life == self.life:
            stages.events = [event for event in stages.events if event.number > after]
        notes, stages.notes = stages.notes, []
        entries = stages.entries.values()
        return {
            "life": self.life,
            "pid": os.getpid(),
            "events": list(stages.events),
            "notes": notes,
            "running": [entry.view() for entry in entries if entry.running],
            "waiting": [entry.request.name for entry in entries if entry.queued],
        }

    def _find_order(self, key: str, trials: frozenset[int]) -> StageOrder | None:
        """The stage of some trials that makes an object: its result, or one of its snapshots."""
        for trial in trials:
            plan = self._plans.get(trial)
            if plan is not None and plan.done():
                order = plan.result().making(key)
                if order is not None:
                    return order
        return None

    def _plan(self, trial: int) -> "asyncio.Future[TrialOrders]":
        if trial not in self._plans:
            self._plans[trial] = asyncio.get_running_loop().create_future()
        return self._plans[trial]
