"""The driver of a search on Ray: between Tune, the stage scheduler and the searcher."""

import time
from collections.abc import Mapping
from typing import Any

import ray

from ..errors import SearchStoppedError
from .backend import TRIES, SearchContext, TrialRules
from .messages import RunnableTrial
from .watchdog import Heartbeat

TICK_S = 0.5
SOON_S = 0.05
"""Between two events of Tune's the scheduler's answer is waited for so long, or comes later."""
ANSWERED_S = 30.0
FIRST = 8
"""So many trials begin before Tune does."""
DRAWS_S = 0.5
"""Trials are drawn for so long at a time, and then Tune's events are handled."""
LATER_S = 15.0
"""A first stage is waited for so long; then coordinators start beside it."""
DRAINED_S = 5.0
"""Stages that are to stop may take so long to reach the end of their epoch."""


class SearchDriver(TrialRules):
    """Between Tune, the scheduler and the searcher.

    A trial of Tune's is a coordinator, which tells of one of our trials when that is over.
    An error in here must not look like a trial's to Tune: it ends the search, and is raised
    again by `raise_error` once Tune is through.

    Args:
        context: What the search runs with.
        scheduler, scheduler_name: The actor.
        at_once: Trials at once.
    """

    def __init__(
        self, context: SearchContext, *, scheduler: Any, scheduler_name: str, at_once: int
    ) -> None:
        super().__init__(context)
        self._scheduler, self._scheduler_name = scheduler, scheduler_name
        self._at_once = at_once
        self._under_way: dict[int, RunnableTrial] = {}
        self._coordinators: set[str] = set()
        self._losses = 0
        self._over: list[int] = []
        self._life, self._after = "", 0
        self._asked: Any = None
        self._running: list[dict[str, Any]] = []
        self._begun = self._ray_lost = False
        self._last_tick = 0.0
        self.heard = Heartbeat()

    # -- before Tune begins ---------------------------------------------------------------------

    def begin_first(self) -> int:
        """Let the first trials begin; return how many stages begin at once."""
        try:
            while len(self._under_way) < min(self._at_once, FIRST) and self._begin_trial():
                pass
        except BaseException as error:
            self._fail(error)
        return len({stage.key for trial in self._under_way.values() for stage in trial.openings})

    def await_first(self) -> None:
        """Wait until a stage of the first trials is through its imports, and has done an epoch.

        To start a coordinator takes two seconds of a processor, which those need that train the
        first stages, and no trial needs one before its end.
        """
        later = time.monotonic() + LATER_S
        while not self._begun and time.monotonic() < later and not self._stopping():
            self.tick()
            time.sleep(SOON_S)

    def _begin_trials(self) -> None:
        """Let trials begin until as many run as are to, for a while: Tune's events wait."""
        until = time.monotonic() + DRAWS_S
        while len(self._under_way) < self._at_once and time.monotonic() < until:
            if not self._begin_trial():
                break

    def _begin_trial(self) -> bool:
        """Let one more trial begin; False where there is none now."""
        trial = self._next_trial()
        if trial is None:
            return False
        self._under_way[trial.trial] = trial
        self._scheduler.add_trial.remote(trial)
        self._status.proposed()
        return True

    # -- what Tune asks -------------------------------------------------------------------------

    def propose(self, tune_id: str) -> dict[str, Any] | None:
        """The next coordinator's configuration; None where there is one for each trial."""
        try:
            self.tick()
            more = len(self._under_way) > len(self._coordinators) or self._begin_trial()
            if more and not self._stopping():
                self._coordinators.add(tune_id)
                return {"scheduler": self._scheduler_name, "coordinator": tune_id}
        except BaseException as error:
            self._fail(error)
        self._scheduler.expect.remote(len(self._coordinators))
        return None

    @property
    def has_more(self) -> bool:
        """Whether Tune, after it has ended, is to begin again.

        For trials of which it lost the coordinator, or for control arms that wait for the end of
        the last trial.
        """
        late = self.reason is None and self._searcher.front_is_known
        return bool(self._again or self._under_way or late) and not self._stopping()

    def goes_on(self, tune_id: str, number: int, history: list[Mapping[str, Any]]) -> bool:
        """Whether a coordinator's trial goes on after these epochs of its delivered stage."""
        try:
            trial = self._under_way.get(number)
            if trial is not None and not self._prunes(trial, history):
                return True
            if trial is not None:
                self._end(tune_id, trial, None)
            return False
        except BaseException as error:
            self._fail(error)
            return False  # the pruner is asked again by the next driver, before another epoch

    def ended(
        self, tune_id: str, number: int | None, outcome: Mapping[str, Any] | None, *, lost: bool
    ) -> None:
        """A coordinator is through.

        Args:
            tune_id: Which.
            number: The trial that it told of; None where it told of none.
            outcome: How that has ended; None where it has not said so.
            lost: Whether Tune gave the coordinator up, since it had died.
        """
        if tune_id not in self._coordinators:
            return
        self._coordinators.remove(tune_id)
        try:
            if lost:
                self._lose(tune_id)
            elif number in self._under_way:
                self._end(tune_id, self._under_way[number], outcome)
        except BaseException as error:
            self._fail(error)

    def _end(self, tune_id: str, trial: RunnableTrial, outcome: Mapping[str, Any] | None) -> None:
        del self._under_way[trial.trial]
        found = self._outcome(trial, outcome)
        if found is None:
            self._scheduler.unclaim.remote(tune_id)
            self._try_again(trial)
        else:
            self._losses = 0
            self._let_go(trial.trial)
            self._write_end(trial, found)

    def _lose(self, tune_id: str) -> None:
        """Let another coordinator tell of the trial of one that has died, if it had one."""
        self._scheduler.unclaim.remote(tune_id)
        self._losses += 1
        if self._losses >= TRIES:
            self._stop_for("the processes that coordinate trials died again and again")
        else:
            self._status.log("a process that coordinates trials was lost; another takes its place")

    def _forget(self, key: str) -> None:
        self._scheduler.forget.remote([key])

    def lose_ray(self, reason: str) -> None:
        """Ray has ended under the search; called from another thread."""
        self._stop_for(reason)
        self._ray_lost = True

    # -- what the scheduler knows ---------------------------------------------------------------

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
            self._searcher.look()
            self._begin_trials()
        except BaseException as error:
            self._fail(error)

    def _drain_if_stopping(self) -> None:
        if self._stopping() and not self._draining:
            self._draining = True
            self._scheduler.drain.remote()

    def drained(self) -> None:
        """Wait a little for the stages that are to stop, and write down what they did."""
        self._drain_if_stopping()
        until = time.monotonic() + DRAINED_S
        self._collect()
        while self._running and time.monotonic() < until:
            time.sleep(0.1)
            self._collect()

    def _collect(self) -> None:
        """Take all that has happened up to now; a scheduler that starts again is waited for."""
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._take_answer(ANSWERED_S)

    def _take_answer(self, wait_s: float) -> None:
        """Ask the scheduler, unless it has been asked, and take its answer if it comes so soon."""
        if self._asked is None:
            self._asked = self._scheduler.snapshot.remote(self._life, self._after)
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
                self._take(event)
                if event.outcome.trace:
                    self._status.log(event.outcome.trace)
        for text in snapshot["notes"]:
            self._status.log(text)
        self._running = snapshot["running"]
        self._begun |= snapshot["begun"]
        self._status.stages(self._running, snapshot["waiting"], stopping=self._draining)

    def _greet(self, life: str) -> None:
        """A new scheduler: give it what its forerunner knew of this run's trials."""
        again = bool(self._life)
        self._life, self._after = life, 0
        if again:
            self._scheduler.expect.remote(0)  # the first coordinators have met its forerunner
            self._scheduler.release.remote(self._over)
            for trial in self._under_way.values():
                self._scheduler.add_trial.remote(trial)
            if self._draining:
                self._scheduler.drain.remote()

    def _let_go(self, trial: int) -> None:
        """Let go of a trial, and take all that has happened up to now."""
        self._over.append(trial)
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._asked = self._scheduler.end_trials.remote([trial], self._life, self._after)
        self._take_answer(ANSWERED_S)
