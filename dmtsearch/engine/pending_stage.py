"""A stage that was requested and has not ended: who waits, how far it is, is it still wanted."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from .ledger_lines import StageRequest
from .messages import RunnableStage, StageAnswer

Rows = tuple[Mapping[str, Any], ...]
LONGER = 20
"""A stage hangs that takes so many times as long as for its longest epoch, and works."""
LONG_EPOCH_S = 3600.0
"""But not before so long: after its last epoch it measures and writes."""


def now_s() -> float:
    """Seconds by the running event loop's clock: a simulated loop has a time of its own."""
    return asyncio.get_running_loop().time()


async def happens(event: asyncio.Event, wait_s: float | None) -> bool:
    """Wait for an event at most so long, for ever if None; whether it came.

    `asyncio.wait_for` swallows a cancellation that meets the event, before Python 3.12.
    """
    waiting = asyncio.ensure_future(event.wait())
    try:
        done, _ = await asyncio.wait({waiting}, timeout=wait_s)
    finally:
        waiting.cancel()
    return bool(done)


@dataclass(frozen=True)
class Pulse:
    """That a stage's process lives, sent every few seconds.

    Attributes:
        node: Of the cluster, by Ray's id.
        machine, pid, started: Of the process, as `dmtsearch.store.process` names one.
        cpu_s: What the thread that runs the stage has used; one that waits for ever uses none.
        gpus: Names of the GPUs that it holds a share of, as Ray gives them.
    """

    node: str
    machine: str
    pid: int
    started: int
    cpu_s: float
    gpus: tuple[str, ...] = ()


class PendingStage:
    """A stage in the stage scheduler, from its first request to its end.

    Attributes:
        runnable: As the first trial sent it, or one that needs more snapshots.
        takes: What its task holds, since it started: its share of a GPU may follow from others'.
        requested_by: The trial that requested it first.
        waiters: Trials that need it now.
        watchers: Trial to how many rows its pruner has let pass.
        answer: What all waiters get.
        attempt: Id of the running start; another one is to stop.
        queued, running: At most one of them.
        since: Start of the wait or of the run, in seconds by the event loop's clock.
        pulse: The last one of the running start; None before its process has begun.
        hung: Why the running start was ended by the scheduler, in words; else "".
        held: Whether it is at the end of an epoch, and waits for the answer whether to train on.
        faults: Of its starts that failed without being an answer: the cause of each, or "".
    """

    def __init__(self, runnable: RunnableStage, trial: int) -> None:
        self.runnable, self.requested_by = runnable, trial
        self.takes = runnable.needs
        self.waiters: set[int] = set()
        self.watchers: dict[int, int] = {}
        self.answer: asyncio.Future[StageAnswer] = asyncio.get_running_loop().create_future()
        self.attempt = ""
        self.queued = self.running = self.held = False
        self.since = now_s()
        self.pulse: Pulse | None = None
        self.hung = ""
        self.faults: list[str] = []
        self.history: Rows = ()
        self.phase: tuple[str, int, int] = ("", 0, 0)
        self._path_cost = runnable.path_cost
        self._moved = asyncio.Event()
        self._still = 0
        self._epochs: list[float] = []

    @property
    def key(self) -> str:
        return self.runnable.key

    @property
    def request(self) -> StageRequest:
        return self.runnable.request

    @property
    def title(self) -> str:
        """What its process is called, for a user of Ray's dashboard or of `ps`."""
        return f"stage {self.request.name} of trial {self.requested_by}"

    def rank(self) -> tuple[int, int]:
        """The longest way first; ties: the earlier trial's."""
        return (-self._path_cost, self.requested_by)

    # -- waiters --------------------------------------------------------------------------------

    def join(self, trial: int, runnable: RunnableStage, *, watched: bool) -> None:
        """A trial needs it."""
        self.waiters.add(trial)
        if watched:
            self.watchers.setdefault(trial, 0)
        self._path_cost = max(self._path_cost, runnable.path_cost)
        if len(runnable.snapshots) > len(self.runnable.snapshots) and not self.running:
            self.runnable = replace(runnable, needs=self.runnable.needs)

    def leave(self, trial: int) -> None:
        """A trial needs it no more."""
        self.watchers.pop(trial, None)
        self.waiters.discard(trial)
        self._step()

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return not self.waiters

    def start(self, attempt: str) -> None:
        """Its task starts, under an id of its own."""
        self.attempt, self.queued, self.running, self.held = attempt, False, True, False
        self.pulse, self.hung, self._still, self._epochs = None, "", 0, []
        self.since = now_s()

    def end(self, answer: StageAnswer) -> None:
        """Answer all waiters."""
        if not self.answer.done():
            self.answer.set_result(answer)
        self.watchers.clear()
        self._step()

    # -- progress -------------------------------------------------------------------------------

    def advance(self, phase: tuple[str, int, int], history: Rows) -> None:
        """The stage has done an epoch."""
        self.phase, self.history = phase, history
        self._still = 0
        self._epochs.append(now_s())
        self._step()

    def beat(self, pulse: Pulse) -> None:
        """Its process has sent that it lives; it has moved if it has used the CPU since."""
        if self.pulse is None or pulse.cpu_s != self.pulse.cpu_s:
            self._still = 0
        self.pulse = pulse

    def look(self, still_looks: int, still_s: float) -> str:
        """Look whether it hangs; return why in words, or "".

        Looks are counted, not seconds: a scheduler that was itself stopped for a while, with its
        whole machine, has looked once in that time.

        Args:
            still_looks: So many looks in a row at which nothing had moved mean that it hangs.
            still_s: The same in seconds.
        """
        if self.pulse is None or self.held:
            return ""
        self._still += 1
        if self._still > still_looks:
            return f"has not moved for {still_s:g} s"
        # The first report is of a checkpoint, or comes after data and models have been read.
        longest = max((b - a for a, b in pairwise(self._epochs)), default=None)
        if longest is not None:
            allowed = max(LONG_EPOCH_S, LONGER * longest)
            if now_s() - self._epochs[-1] > allowed:
                return (
                    f"has reported nothing for {allowed:.0f} s, {LONGER} times its longest epoch"
                )
        return ""

    def approve(self, trial: int, seen: int) -> None:
        """A trial's pruner lets the stage go on after `seen` rows."""
        if trial in self.waiters:
            self.watchers[trial] = seen
            self._step()

    async def approved(self, rows: int, wait_s: float) -> None:
        """Wait until every watching trial has let `rows` pass, or has left."""
        until = now_s() + wait_s
        while any(seen < rows for seen in self.watchers.values()):
            if not await self._step_before(until):
                return

    async def longer_than(self, seen: int, wait_s: float) -> Rows:
        """The history once it has more than `seen` rows; nothing if it ends or time is up."""
        until = now_s() + wait_s
        while len(self.history) <= seen:
            if self.answer.done() or not await self._step_before(until):
                return ()
        return self.history

    async def _step_before(self, until: float) -> bool:
        left = until - now_s()
        return left > 0 and await happens(self._moved, left)

    def _step(self) -> None:
        """Wake all who wait for a change, and let later ones wait for the next."""
        self._moved.set()
        self._moved = asyncio.Event()

    def view(self) -> dict[str, Any]:
        """How far it is, for users."""
        return view_of(self.request, self.requested_by, len(self.waiters), self.phase)


def view_of(
    request: StageRequest, trial: int, waiters: int, phase: tuple[str, int, int]
) -> dict[str, Any]:
    """How far a running stage is, for users.

    Args:
        request: Which stage.
        trial: That requested it first.
        waiters: Number of trials that need it now.
        phase: Name, epochs done, epochs at most.
    """
    name, epoch, epochs = phase
    return {
        "name": request.name,
        "key": request.key,
        "model": request.model,
        "trial": trial,
        "waiters": waiters,
        "phase": name,
        "epoch": epoch,
        "epochs": epochs or request.epochs,
        "cost": request.cost,
        "hint_epochs": request.hint_epochs,
    }
