"""The driver: answers Tune's questions from the proposer, keeps the books, drains at the end."""

import time
from collections.abc import Mapping
from typing import Any

import ray

from ..errors import SearchStoppedError
from ..store import Store
from .backend import EngineSetting, Mind, Stop, TrialRules
from .live import Watching
from .orders import TrialOrders
from .silence import Heard
from .trials import TrialPlan

TICK_S = 0.5
SOON_S = 0.05
"""Between two events of Tune's, the broker's answer is waited for so long; else it comes later."""
ANSWERED_S = 30.0
DRAINED_S = 5.0
"""Stages that were told to stop may take so long to reach the end of their epoch."""


class SearchDriver(TrialRules):
    """Stands between Tune, the broker and the mind.

    An error in here must not look like a trial's to Tune: it ends the search, and is raised
    again by `raise_error` once Tune is through.

    Args:
        setting, mind, store, watching, stop: As for `TrialRules`.
        broker, broker_name: The actor.
    """

    def __init__(
        self,
        setting: EngineSetting,
        mind: Mind,
        store: Store,
        watching: Watching,
        stop: Stop,
        *,
        broker: Any,
        broker_name: str,
    ) -> None:
        super().__init__(setting, mind, store, watching, stop)
        self._broker, self._broker_name = broker, broker_name
        self._live: dict[str, tuple[TrialPlan, TrialOrders]] = {}
        self._over: list[int] = []
        self._life, self._after = "", 0
        self._asked: Any = None
        self._running: list[dict[str, Any]] = []
        self._ray_lost = False
        self._last_tick = 0.0
        self.heard = Heard()

    # -- what Tune asks -------------------------------------------------------------------------

    def propose(self, tune_id: str) -> dict[str, Any] | None:
        """The next trial's configuration; None ends the search."""
        try:
            self.tick()
            given = self._next_trial()
            if given is not None:
                plan, orders = self._live[tune_id] = given
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

    def goes_on(self, trial: int, history: list[Mapping[str, Any]]) -> bool:
        """Whether a trial goes on after these epochs of its delivered stage."""
        try:
            plan = next(plan for plan, _ in self._live.values() if plan.trial == trial)
            if not self._prunes(plan, history):
                return True
            self._release(trial, at_once=True)
            return False
        except BaseException as error:
            self._fail(error)
            return False  # the pruner is asked again by the next driver, before another epoch

    def ended(self, tune_id: str, outcome: Mapping[str, Any] | None, *, lost: bool) -> None:
        """A trial is over; `lost` where Tune gave it up, since its coordinator had died."""
        if tune_id not in self._live:
            return
        plan, orders = self._live.pop(tune_id)
        try:
            found = self._outcome(plan, orders, outcome)
            if found is None:
                self._try_again(plan, orders)
            else:
                self._settle(plan.trial, at_once=not lost)
                self._write_end(plan, orders, found)
        except BaseException as error:
            self._fail(error)

    def _forget(self, key: str) -> None:
        self._broker.forget.remote([key])

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
            self._drain_if_stopping()
            self._take_answer(SOON_S)
            self._mind.look()
        except BaseException as error:
            self._fail(error)

    def _drain_if_stopping(self) -> None:
        if self._stopping() and not self._draining:
            self._draining = True
            self._broker.drain.remote()

    def drained(self) -> None:
        """Wait a little for the stages that were told to stop, and write down what they did."""
        self._drain_if_stopping()
        until = time.monotonic() + DRAINED_S
        self._collect()
        while self._running and time.monotonic() < until:
            time.sleep(0.1)
            self._collect()

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
