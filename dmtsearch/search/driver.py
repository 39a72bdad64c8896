"""The driver: answers Tune's questions from the proposer, keeps the books, drains at the end."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import ray

from ..errors import SearchStoppedError
from ..store import Store
from .ledger import RunState
from .live import Watching
from .orders import TrialOrders, make_orders
from .records import Record
from .silence import Heard
from .stage_book import StageBook
from .trials import TrialOutcome, TrialPlan

TICK_S = 0.5
SOON_S = 0.05
"""Between two events of Tune's, the broker's answer is waited for so long; else it comes later."""
ANSWERED_S = 30.0
TRIES = 3
"""A trial is given to Tune so often when it is lost there, before the search stops."""
DRAINED_S = 5.0
"""Stages that were told to stop may take so long to reach the end of their epoch."""


class Mind(Protocol):
    """Which trial next; see `dmtsearch.search.proposer.Proposer`."""

    @property
    def state(self) -> RunState: ...
    def record(self, record: Record) -> None: ...
    def next(self) -> TrialPlan | None: ...
    def should_prune(self, trial: int, history: Sequence[Any], epochs: int) -> bool: ...
    def end(self, trial: int, outcome: TrialOutcome) -> None: ...
    def look(self) -> None: ...


class SearchDriver:
    """Stands between Tune, the broker and the mind. All of it runs in one thread.

    An error in here must not look like a trial's to Tune: it ends the search, and is raised
    again by `raise_error` once Tune is through.

    Args:
        mind: Proposes trials, takes their ends, writes the ledger.
        store: Where finished stages lie.
        broker, broker_name: The actor.
        run: The run's id.
        watched: Whether trials are pruned.
        time_budget_s: Nothing is proposed so many seconds after the first trial was.
        stop_asked: Whether somebody wants the search to stop now.
        watching: Who sees how it goes.
    """

    def __init__(
        self,
        *,
        mind: Mind,
        store: Store,
        broker: Any,
        broker_name: str,
        run: str,
        watched: bool,
        time_budget_s: float | None,
        stop_asked: Callable[[], bool],
        watching: Watching,
    ) -> None:
        self._mind, self._broker, self._broker_name = mind, broker, broker_name
        self._store, self._watched = store, watched
        self._time_budget_s, self._deadline = time_budget_s, float("inf")
        self._stop_asked, self._watching = stop_asked, watching
        self._book = StageBook(mind.record, mind.state.stages, store, run)
        self._live: dict[str, tuple[TrialPlan, TrialOrders]] = {}
        self._again: deque[tuple[TrialPlan, TrialOrders]] = deque()
        self._tries: dict[int, int] = {}
        self._pruned: dict[int, int] = {}
        self._over: list[int] = []
        self._life, self._after = "", 0
        self._asked: Any = None
        self._running: list[dict[str, Any]] = []
        self._lost = "a trial was lost"
        self._draining = False
        self._ray_lost = False
        self._error: BaseException | None = None
        self._last_tick = 0.0
        self.heard = Heard()
        self.reason: str | None = None
        """Why nothing more is proposed: `time`, `interrupted`, `failed`; else the mind knows."""
        self.fault: str | None = None
        """What of the machine failed, in words, so that the search stops; no trial is to blame."""

    # -- what Tune asks -------------------------------------------------------------------------

    def propose(self, tune_id: str) -> dict[str, Any] | None:
        """The next trial's configuration; None ends the search."""
        plan = None
        try:
            self.tick()
            if self._again and not self._stopping():
                plan, orders = self._again.popleft()
            elif self._may_propose() and (plan := self._mind.next()) is not None:
                orders = make_orders(plan, watched=self._watched)
            if plan is not None:
                self._live[tune_id] = (plan, orders)
                self._broker.give.remote(orders)
                self._watching.proposed()
                return {"trial": plan.trial, "broker": self._broker_name}
        except BaseException as error:
            self._fail(error)
        self._broker.expect.remote(len(self._live))
        return None

    @property
    def has_lost_trials(self) -> bool:
        """Whether trials that Tune lost wait for another go, after it has ended."""
        return bool(self._again) and not self._stopping()

    def _stopping(self) -> bool:
        """Whether the search is to stop now, and why."""
        if self._error is not None or self.fault is not None:
            self.reason = "failed"
        elif self._stop_asked():
            self.reason = "interrupted"
        else:
            return False
        return True

    def _may_propose(self) -> bool:
        if self._stopping():
            return False
        if time.monotonic() > self._deadline:
            self.reason = "time"
        elif self._time_budget_s is not None:
            self._deadline = min(self._deadline, time.monotonic() + self._time_budget_s)
        return self.reason is None

    def goes_on(self, trial: int, history: list[Mapping[str, Any]]) -> bool:
        """Whether a trial goes on after these epochs of its delivered stage."""
        try:
            plan = next(plan for plan, _ in self._live.values() if plan.trial == trial)
            if not self._mind.should_prune(trial, history, plan.epochs):
                return True
            self._pruned[trial] = sum(row["phase"] == "train" for row in history)
            self._release(trial, at_once=True)
            return False
        except BaseException as error:
            self._fail(error)
            return True

    def ended(self, tune_id: str, outcome: Mapping[str, Any] | None, *, lost: bool) -> None:
        """A trial is over; `lost` where Tune gave it up, since its coordinator had died."""
        if tune_id not in self._live:
            return
        plan, orders = self._live.pop(tune_id)
        try:
            found = self._outcome(plan, orders, outcome)
            if found is None and self._error is None and not self._stopping():
                self._try_again(plan, orders)
            if found is not None:
                self._settle(plan.trial, at_once=not lost)
                self._book.settle(plan.trial, orders.orders)
                self._mind.end(plan.trial, found)
                self._watching.ended()
        except BaseException as error:
            self._fail(error)

    def _outcome(
        self, plan: TrialPlan, orders: TrialOrders, outcome: Mapping[str, Any] | None
    ) -> TrialOutcome | None:
        """How a trial ended; None where it has not: interrupted, lost, or met by a fault."""
        if self._error is not None:
            return None  # a line of one of its stages may be missing: a resume writes both
        if plan.trial in self._pruned:
            epochs = self._pruned.pop(plan.trial)
            reason = f"its pruner stopped it after {epochs} of {plan.epochs} epochs"
            return TrialOutcome("pruned", stage=plan.deliver, reason=reason, epochs=epochs)
        if outcome is None:
            self._lost = f"the process that coordinates trial {plan.trial} died again and again"
            return None
        if outcome["status"] == "failed":
            return TrialOutcome("failed", stage=outcome["stage"], reason=outcome["reason"])
        if outcome["status"] == "fault":
            self._stop_for(outcome["reason"])
        if outcome["status"] != "done":
            return None
        key = orders.delivered.key
        stored = self._store.get(key, on_damage=self._watching.log)
        if stored is None:
            self._lost = (
                f"the result of trial {plan.trial} ({key[:12]}) is removed from the store again "
                "and again before it is read"
            )
            self._broker.forget.remote([key])
            return None
        epochs = stored.record["epochs"]
        return TrialOutcome("done", record=stored.record, stage=plan.deliver, epochs=epochs)

    def _try_again(self, plan: TrialPlan, orders: TrialOrders) -> None:
        """Give a trial to Tune once more, under the number that it has."""
        tries = self._tries[plan.trial] = self._tries.get(plan.trial, 1) + 1
        if tries > TRIES:
            self._stop_for(self._lost)
        else:
            self._watching.log(f"trial {plan.trial} was lost; trying it again")
            self._again.append((plan, orders))

    def _stop_for(self, fault: str) -> None:
        """Let nothing more begin: the machine fails. Once the search stops, nothing adds to it."""
        if not self._draining:
            self.fault = self.fault or fault

    def lose_ray(self, reason: str) -> None:
        """Ray has ended under the search; called from another thread."""
        self._stop_for(reason)
        self._ray_lost = True

    # -- what the broker knows ------------------------------------------------------------------

    def tick(self) -> None:
        """Called all the time: fetch what happened, show it, see whether to stop.

        Raises:
            SearchStoppedError: Ray is lost; there is nothing to wait for.
        """
        if self._ray_lost:
            raise SearchStoppedError(self.fault or "Ray is lost")
        if time.monotonic() - self._last_tick < TICK_S:
            return
        self._last_tick = time.monotonic()
        try:
            if self._stopping() and not self._draining:
                self._draining = True
                self._broker.drain.remote()
            self._take_answer(SOON_S)
            self._mind.look()
        except BaseException as error:
            self._fail(error)

    def drained(self) -> None:
        """Wait a little for the stages that were told to stop, and write down what they did."""
        until = time.monotonic() + DRAINED_S
        self._collect()
        while self._running and time.monotonic() < until:
            time.sleep(0.1)
            self._collect()

    def raise_error(self) -> None:
        """Raise what went wrong in here."""
        if self._error is not None:
            raise self._error

    def _collect(self) -> None:
        """Take all that has happened up to now; a broker that starts again is waited for."""
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._take_answer(ANSWERED_S)

    def _take_answer(self, wait_s: float) -> None:
        """Ask the broker, unless it has been asked, and take its answer if it comes so soon."""
        if self._asked is None:
            self._asked = self._broker.snapshot.remote(self._life, self._after)
        ready, _ = ray.wait([self._asked], timeout=0 if self._ray_lost else wait_s)
        if not ready:
            return
        self._asked = None
        snapshot = ray.get(ready[0])
        self.heard.now()
        if snapshot["life"] != self._life:
            self._greet(snapshot["life"])
        for event in snapshot["events"]:
            if event.number > self._after:
                self._after = event.number
                self._book.take(event)
                if event.outcome.trace:
                    self._watching.log(event.outcome.trace)
        for text in snapshot["notes"]:
            self._watching.log(text)
        self._running = snapshot["running"]
        self._watching.stages(self._running, snapshot["waiting"], stopping=self._draining)

    def _greet(self, life: str) -> None:
        """A new broker: tell it what its forerunner knew of this run's trials."""
        again = bool(self._life)
        self._life, self._after = life, 0
        if again:
            self._broker.expect.remote(0)  # the first coordinators have met its forerunner
            self._broker.release.remote(self._over, True)
            for _, orders in self._live.values():
                self._broker.give.remote(orders)
            if self._draining:
                self._broker.drain.remote()

    def _settle(self, trial: int, *, at_once: bool) -> None:
        """Let go of a trial, and take all that has happened up to now."""
        self._over.append(trial)
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._asked = self._broker.settle.remote([trial], at_once, self._life, self._after)
        self._take_answer(ANSWERED_S)

    def _release(self, trial: int, *, at_once: bool) -> None:
        self._over.append(trial)
        self._broker.release.remote([trial], at_once)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        self.reason = "failed"
