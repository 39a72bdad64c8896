"""The stage scheduler: who waits for which stage, which one runs next, which one stops.

Knows no Ray; `ray_actor.py` runs it as an actor.
"""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..store import Store
from ..training.stored_records import check_stage
from .autoscaler import Demand
from .faults import PAUSES_S, after_failure, answered, hung_outcome, store_outcome
from .messages import (
    RunnableStage,
    RunnableTrial,
    StageAnswer,
    StageEvent,
    StageOutcome,
    TrialClaim,
)
from .packed_rows import PackedRows
from .pending_stage import PendingStage, Pulse, happens, now_s
from .slots import ClusterNode
from .stage_room import StageRoom
from .trials_under_way import TrialsUnderWay

BARRIER_S = 15.0
"""The first coordinators wait for one another at most so long."""
APPROVAL_S = 2.0
"""An epoch of a watched stage waits for its pruner's word at most so long."""
SAVED_S = 1.0
"""A stage that has been stopped is waited for at most so long, while it saves its last epoch."""
PATIENCE_S = 60.0
"""Once the first in the queue has waited so long, nothing overtakes it."""
IDLE_S = 1.0
"""The loop looks at the queue at least so often, also where nothing was reported to it."""

LOOKS = 30
"""A stage is looked at so often in the time in which it must move."""

Launch = Callable[[RunnableStage, str, str], Awaitable[StageOutcome]]
"""Runs a stage in a process: the stage, the id of this start, and what the process is called.
Cancelled, it ends the process."""


def find_finished(
    store: Store, runnable: RunnableStage, note: Callable[[str], None], made: Container[str]
) -> StageOutcome | None:
    """A stage's result, if the store has it with all snapshots that others learn from.

    Args:
        store: Where finished stages lie.
        runnable: Which stage.
        note: Given a sentence about what is damaged.
        made: Keys of stages that this run has made. Who learns from one of them is not looked
            for, since it cannot be older than the run; whoever trains it looks under its lease.
    """
    if any(source in made for source in runnable.sources):
        return None
    found = store.get(runnable.key, verify=True, on_damage=note, check=check_stage)
    if found is None or found.failed:
        return None  # whoever starts the stage puts a stored failure into words
    if any(store.get(key, on_damage=note) is None for key in runnable.snapshots):
        return None
    record = found.record
    held = record.get("gpu_bytes") or 0
    return StageOutcome("done", record=record, reused=True, gpu_bytes=held)


class StageScheduler:
    """One for each run. Callers only enqueue and await; one loop starts the stages.

    It looks into the store first, then starts the longest way first, and only what fits. After
    its own restart it knows nothing: requests carry their stage and are made again, and finished
    stages are in the store.

    Args:
        store: Where finished stages lie.
        launch: Starts a stage's task.
        look: The cluster's nodes now; blocks, so it is called in a thread.
        first: How many coordinators `hello` waits for.
        at_once: Trials at once; a cluster's autoscaler makes room for as many stages.
        barrier_s: The first coordinators wait for one another at most so long.
        pauses_s: Before the second start of a stage that met a fault, and before the third.
        idle_s: Between two looks at the queue, at most; None to look only when something changes.
        still_s: A stage of which nothing has moved for so long hangs, and is ended; None to let
            all run on.
        demand: What the cluster's autoscaler is to make room for; None where it has none.
    """

    def __init__(
        self,
        store: Store,
        launch: Launch,
        look: Callable[[], Sequence[ClusterNode]],
        *,
        first: int,
        at_once: int = 1,
        barrier_s: float = BARRIER_S,
        pauses_s: Sequence[float] = PAUSES_S,
        idle_s: float | None = IDLE_S,
        still_s: float | None = None,
        demand: Demand | None = None,
    ) -> None:
        self._idle_s = idle_s
        self._store, self._launch = store, launch
        self._barrier_s, self._pauses_s = barrier_s, pauses_s
        self.life = uuid.uuid4().hex
        self.room = StageRoom(look, demand, most=at_once)
        self._first, self._callers, self._together = first, set[int](), asyncio.Event()
        self._barrier_ends: float | None = None
        self._trials = TrialsUnderWay(self.get_stage)
        self._pending: dict[str, PendingStage] = {}
        self._done: dict[str, tuple[StageAnswer, frozenset[str]]] = {}
        self._made: set[str] = set()
        self._events: list[StageEvent] = []
        self._notes: list[str] = []
        self._num_events = 0
        self._draining = False
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._launched: dict[str, asyncio.Future[StageOutcome]] = {}
        self._spawn(self._start_stages())
        if still_s is not None:
            self._spawn(self._end_hung(still_s))

    # -- what coordinators call ---------------------------------------------------------------

    async def hello(self, pid: int) -> str:
        """Wait for the other first coordinators, so that all processes start before one ends.

        Only then does Tune find a process to use again for each trial that follows.
        """
        self._callers.add(pid)
        if self._barrier_ends is None:
            self._barrier_ends = now_s() + self._barrier_s
        self._open_barrier()
        left = self._barrier_ends - now_s()
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

    async def claim(self, coordinator: str) -> TrialClaim:
        """Give a coordinator its trial once there is one; the same however often it asks.

        Args:
            coordinator: A name that no other trial of Tune's has.
        """
        walk = await self._trials.claim(coordinator)
        if walk is None:
            return TrialClaim(None, watched=False, answer=StageAnswer("interrupted"))
        answer = await asyncio.shield(walk.answer)
        return TrialClaim(walk.trial.trial, walk.trial.watched, answer)

    async def finish(self, number: int) -> StageAnswer:
        """Run a trial's delivered stage, which its coordinator will `follow`, to its end."""
        walk = await self._trials.expect(number)
        if walk is None:
            return StageAnswer("interrupted")
        answer = await asyncio.shield(walk.answer)
        if answer.status != "done":
            return answer
        answer = await self.get_stage(number, walk.trial.delivered, watched=True)
        return replace(answer, stage=walk.trial.deliver)

    async def follow(
        self, number: int, seen: int, wait_s: float = 30.0
    ) -> tuple[Mapping[str, Any], ...]:
        """The history of a trial's watched stage once it is longer than `seen` rows, else nothing.

        To call again says that the trial goes on after the rows that it has seen.
        """
        walk = self._trials.find(number)
        stage = self._pending.get(walk.trial.delivered.key) if walk is not None else None
        if stage is None:
            await asyncio.sleep(0.2)  # it has ended, or what begins it comes a moment later
            return ()
        stage.approve(number, seen)
        return await stage.longer_than(seen, wait_s)

    # -- what trials request --------------------------------------------------------------------

    async def get_stage(
        self, trial: int, runnable: RunnableStage, watched: bool = False
    ) -> StageAnswer:
        """Return a stage's result once it is there; the same for all callers, however often.

        Args:
            trial: Who calls.
            runnable: Which stage, with all that running it needs.
            watched: Whether the trial's coordinator follows it; its epochs then wait for its word.
        """
        while True:
            if self._draining or self._trials.is_released(trial):
                return StageAnswer("interrupted")
            known = self._known(runnable)
            if known is not None:
                return known
            stage = self._join(trial, runnable, watched=watched)
            answer = await asyncio.shield(stage.answer)
            # One that was running when this request joined it may lack snapshots: once more then.
            if answer.status != "done" or self._known(runnable) is not None:
                return answer

    # -- what stage tasks call ------------------------------------------------------------------

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
        stage = self._pending.get(key)
        if stage is None or stage.attempt != attempt:
            return False
        stage.held = True
        stage.advance(phase, tuple(history))
        if stage.watchers:
            await stage.approved(len(history), APPROVAL_S)
        stage.held = self._draining or stage.unwanted
        return not stage.held

    async def beat(self, key: str, attempt: str, pulse: Pulse) -> None:
        """Take that the process of a stage's start lives, and where."""
        stage = self._pending.get(key)
        if stage is not None and stage.attempt == attempt:
            if stage.pulse is None:
                self.room.follow(stage, pulse.node, pulse.gpus)
                self._changed.set()
            stage.beat(pulse)

    async def note(self, text: str) -> None:
        """Keep a sentence for the log."""
        self._notes.append(text)

    # -- what the driver calls ------------------------------------------------------------------

    async def add_trial(self, trial: RunnableTrial) -> None:
        """Take a trial, and walk through its stages; one that is there already walks on."""
        self._trials.add(trial)

    async def unclaim(self, coordinator: str) -> None:
        """A coordinator is no more, or its trial goes on: another one may have that."""
        self._trials.unclaim(coordinator)

    async def release(self, trials: Iterable[int]) -> None:
        """Trials with these numbers are over: stop what nobody else waits for."""
        for trial in trials:
            self._trials.release(trial)
            for stage in self._pending.values():
                stage.leave(trial)
        self._changed.set()

    async def forget(self, keys: Iterable[str]) -> None:
        """These objects are gone from the store: their stages are made again when requested.

        A trial that had them walks again.
        """
        gone = set(keys)
        self._forget(gone)
        self._trials.walk_again(gone)

    async def drain(self) -> None:
        """Answer every pending call `interrupted`; stages stop at the end of their epoch."""
        self._together.set()
        self._trials.close()
        self._draining = True
        for stage in list(self._pending.values()):
            stage.end(StageAnswer("interrupted"))
            if not stage.running:
                self._pending.pop(stage.key, None)
        self._changed.set()

    async def end_trials(self, trials: Iterable[int], life: str, after: int) -> dict[str, Any]:
        """`release`, and then `snapshot`, in one call.

        Stages that only save what they have before they stop are waited for a moment: the ledger
        has their lines before the end of the trial that stopped them.
        """
        await self.release(trials)
        stopping = [
            stage.answer
            for stage in self._pending.values()
            if stage.running and stage.held and stage.unwanted
        ]
        if stopping:
            await asyncio.wait(stopping, timeout=SAVED_S)
        return await self.snapshot(life, after)

    async def snapshot(self, life: str, after: int) -> dict[str, Any]:
        """What goes on, and the events after number `after` of the life that the caller knows.

        `begun` says that a stage has ended, or has done an epoch.
        """
        if life == self.life:
            self._events = [event for event in self._events if event.number > after]
        notes, self._notes = self._notes, []
        pending = self._pending.values()
        return {
            "life": self.life,
            "pid": os.getpid(),
            "events": list(self._events),
            "notes": notes,
            "running": [stage.view() for stage in pending if stage.running],
            "begun": self._num_events > 0 or any(stage.phase[0] for stage in pending),
            "waiting": [stage.request.name for stage in pending if stage.queued],
        }

    # -- what is known --------------------------------------------------------------------------

    def _known(self, runnable: RunnableStage) -> StageAnswer | None:
        """The answer of a stage that has ended well, with all its snapshots."""
        answer, snapshots = self._done.get(runnable.key, (None, frozenset()))
        return answer if snapshots.issuperset(runnable.snapshots) else None

    def _forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._done.pop(key, None)

    # -- from request to start ------------------------------------------------------------------

    def _join(self, trial: int, runnable: RunnableStage, *, watched: bool) -> PendingStage:
        """Let a trial wait for a stage, which is begun if no trial has requested it before."""
        stage = self._pending.get(runnable.key)
        if stage is None:
            stage = self._pending[runnable.key] = PendingStage(runnable, trial)
            self._spawn(self._look_up(stage))
        stage.join(trial, runnable, watched=watched)
        self._changed.set()
        return stage

    async def _look_up(self, stage: PendingStage) -> None:
        """Find a stage in the store, or put it in the queue."""
        try:
            found = await asyncio.to_thread(
                find_finished, self._store, stage.runnable, self._notes.append, self._made
            )
        except Exception as error:
            await self._after_failure(stage, store_outcome(error))
            return
        if found is None:
            self._queue(stage)
        else:
            self.room.learn(stage, found.gpu_bytes)
            self._end(stage, found)

    def _queue(self, stage: PendingStage) -> None:
        stage.queued, stage.since = True, now_s()
        self._changed.set()

    async def _start_stages(self) -> None:
        """The loop: whenever something has changed, start what fits now."""
        while True:
            await happens(self._changed, self._idle_s)
            self._changed.clear()
            await self.room.refresh(self._pending.values())
            self._start_what_fits()

    def _start_what_fits(self) -> None:
        for stage in list(self._pending.values()):
            if stage.queued and stage.unwanted:
                self._pending.pop(stage.key)
                stage.end(StageAnswer("interrupted"))
        waiting = [stage for stage in self._pending.values() if stage.queued]
        for stage in sorted(waiting, key=PendingStage.rank):
            needs = self.room.needs_of(stage)
            if not self.room.could_hold(needs):
                refusal = self.room.refusal(stage, needs)
                if isinstance(refusal, StageOutcome):
                    self._end(stage, refusal)
                elif refusal is not None:
                    self._give_up(stage, refusal)
            elif self.room.take(stage, needs):
                stage.start(uuid.uuid4().hex)
                self._spawn(self._run(stage))
            elif now_s() - stage.since > PATIENCE_S:
                break

    # -- from start to end ----------------------------------------------------------------------

    async def _run(self, stage: PendingStage) -> None:
        runnable = replace(stage.runnable, needs=stage.takes)
        launched = asyncio.ensure_future(self._launch(runnable, stage.attempt, stage.title))
        self._launched[stage.key] = launched
        try:
            outcome = await launched
        except asyncio.CancelledError:
            if not stage.hung:
                raise
            outcome = hung_outcome(stage.request.name, stage.hung)
        except Exception as error:
            outcome = store_outcome(error)
        del self._launched[stage.key]
        self.room.learn(stage, outcome.gpu_bytes)
        self.room.free(stage)
        stage.running = False
        if outcome.status == "stopped" and stage.waiters:
            # Still needed: it goes on from its checkpoint, here, or under the next driver, who
            # will write down the whole of it.
            if self._draining:
                self._pending.pop(stage.key, None)
            else:
                self._queue(stage)
        elif outcome.status == "failed":
            await self._after_failure(stage, outcome)
        else:
            self._end(stage, outcome)
        self._changed.set()

    async def _end_hung(self, still_s: float) -> None:
        """The loop that looks at running stages, and ends those that hang."""
        while True:
            await asyncio.sleep(still_s / LOOKS)
            for key, launched in list(self._launched.items()):
                stage = self._pending.get(key)
                if stage is not None and not stage.hung:
                    stage.hung = stage.look(LOOKS, still_s)
                    if stage.hung:
                        launched.cancel()

    async def _after_failure(self, stage: PendingStage, outcome: StageOutcome) -> None:
        """End a stage by an answer; try it again after a fault, and give up where none helps."""
        if outcome.trace:
            self._notes.append(f"{stage.title}, key {stage.key[:12]}:\n{outcome.trace}")
            outcome = replace(outcome, trace=None)
        stage.faults.append(outcome.cause)
        step = after_failure(outcome, stage.faults)
        if step == "answer":
            self._end(stage, answered(outcome))
            return
        reason = outcome.reason or "no reason is known"
        if self._draining or stage.unwanted:
            self._give_up(stage, StageAnswer("interrupted"))
        elif step == "give up":
            self._give_up(stage, StageAnswer("fault", reason=reason))
        else:
            where = ""
            alone = stage.runnable.needs.alone()
            if outcome.alone and self.room.could_hold(alone):
                stage.runnable = replace(stage.runnable, needs=alone)
                where = " alone on a GPU" if alone.gpu else ""
            self._notes.append(f"{reason}; trying again{where}")
            sources = await self._make_again(stage, outcome.missing)
            if sources is not None:
                self._give_up(stage, StageAnswer(sources.status, reason=sources.reason))
                return
            await asyncio.sleep([*self._pauses_s][: len(stage.faults)][-1])
            if self._pending.get(stage.key) is stage:  # not drained meanwhile
                self._queue(stage)

    async def _make_again(self, stage: PendingStage, keys: Iterable[str]) -> StageAnswer | None:
        """Make objects that a stage did not find; an answer where that does not end well."""
        for key in keys:
            source = self._trials.making(key, {*stage.waiters, stage.requested_by})
            if source is None:
                continue  # after a restart: the driver adds the trials again in a moment
            self._forget([source.key])
            for trial in stage.waiters or {stage.requested_by}:
                made = self._join(trial, source, watched=False)
            answer = await asyncio.shield(made.answer)
            if answer.status != "done":
                return answer
        return None

    def _give_up(self, stage: PendingStage, answer: StageAnswer) -> None:
        """Answer all who wait that a stage is not to be had; the ledger gets no line of it."""
        self._pending.pop(stage.key, None)
        stage.end(answer)

    def _end(self, stage: PendingStage, outcome: StageOutcome) -> None:
        self._pending.pop(stage.key, None)
        self._num_events += 1
        if not outcome.history and not outcome.record:
            outcome = replace(outcome, history=stage.history)
        ran, by = stage.runnable, stage.requested_by
        event = StageEvent(self._num_events, ran.request, ran.costs, by, outcome)
        self._events.append(event)
        if outcome.status == "done":
            answer = StageAnswer("done", history=PackedRows(outcome.record["history"]))
            if not outcome.reused:
                self._made.add(stage.key)
            self._done[stage.key] = (answer, frozenset(ran.snapshots))
        elif outcome.status == "failed":
            answer = StageAnswer("failed", reason=outcome.reason)
        else:
            answer = StageAnswer("interrupted")
        stage.end(answer)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
