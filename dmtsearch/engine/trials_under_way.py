"""The trials that the stage scheduler walks through, and which coordinator tells Tune of which."""

import asyncio
from collections.abc import Iterable

from .messages import RunnableStage, RunnableTrial
from .trial_walk import GetStage, TrialWalk


class TrialsUnderWay:
    """Trials of a run that have begun and that the driver has not let go of.

    A coordinator gets a trial only when that has gone as far as it can by itself, so that a few
    coordinators do for many trials.

    Args:
        get: Gets a stage for a trial.
    """

    def __init__(self, get: GetStage) -> None:
        self._get = get
        self._walks: dict[int, TrialWalk] = {}
        self._over: dict[int, None] = {}
        self._claims: dict[str, int] = {}
        self._waiting: dict[str, asyncio.Future[int | None]] = {}
        self._expected: dict[int, asyncio.Future[TrialWalk | None]] = {}
        self._released: set[int] = set()
        self._closed = False

    # -- the driver's side ----------------------------------------------------------------------

    def add(self, trial: RunnableTrial) -> None:
        """Let a trial begin; one that is there walks on, and one that was released is over."""
        if not (self._closed or trial.trial in self._released or trial.trial in self._walks):
            self._begin(trial)

    def walk_again(self, keys: Iterable[str]) -> None:
        """Let trials that are through walk again, if one of their objects is gone."""
        gone = set(keys)
        for number, walk in list(self._walks.items()):
            if walk.over and any(walk.trial.making(key) for key in gone):
                self._over.pop(number, None)
                self._begin(walk.trial)

    def release(self, number: int) -> None:
        """Forget a trial, which is over for the driver."""
        self._released.add(number)
        self._walks.pop(number, None)
        self._over.pop(number, None)
        for coordinator in [one for one, claimed in self._claims.items() if claimed == number]:
            del self._claims[coordinator]

    def is_released(self, number: int) -> bool:
        """Whether a trial is over for the driver."""
        return number in self._released

    def unclaim(self, coordinator: str) -> None:
        """A coordinator is no more, or its trial goes on: another may have that."""
        waiting = self._waiting.pop(coordinator, None)
        if waiting is not None:
            waiting.set_result(None)
        number = self._claims.pop(coordinator, None)
        if number is not None:
            self._offer(number)

    def close(self) -> None:
        """No trial begins any more, and whoever waits for one waits in vain."""
        self._closed = True
        for waiting in self._waiting.values():
            waiting.set_result(None)
        for expected in self._expected.values():
            expected.set_result(None)
        self._waiting.clear()
        self._expected.clear()

    # -- the coordinators' side -----------------------------------------------------------------

    async def claim(self, coordinator: str) -> TrialWalk | None:
        """The trial of a coordinator, once there is one: the same however often it asks.

        None where there will be none.
        """
        number: int | None = self._claims.get(coordinator)
        if number is None and not self._closed:
            if coordinator not in self._waiting:
                self._waiting[coordinator] = asyncio.get_running_loop().create_future()
            waiting = self._waiting[coordinator]
            self._match()
            number = await asyncio.shield(waiting)
        return None if number is None else self._walks.get(number)

    async def expect(self, number: int) -> TrialWalk | None:
        """A trial's walk, once the driver has added it; None where it never will."""
        if self._closed or number in self._released or number in self._walks:
            return self._walks.get(number)
        if number not in self._expected:
            self._expected[number] = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._expected[number])

    def find(self, number: int) -> TrialWalk | None:
        """A trial's walk, if it is there."""
        return self._walks.get(number)

    def making(self, key: str, numbers: Iterable[int]) -> RunnableStage | None:
        """The stage of some trials that makes an object: its result, or one of its snapshots."""
        walks = (self._walks.get(number) for number in numbers)
        made = (walk.trial.making(key) for walk in walks if walk is not None)
        return next((stage for stage in made if stage is not None), None)

    # -- who gets which -------------------------------------------------------------------------

    def _begin(self, trial: RunnableTrial) -> None:
        walk = self._walks[trial.trial] = TrialWalk(trial, self._get)
        walk.answer.add_done_callback(lambda _: self._offer(trial.trial))
        if (expected := self._expected.pop(trial.trial, None)) is not None:
            expected.set_result(walk)

    def _offer(self, number: int) -> None:
        walk = self._walks.get(number)
        if walk is not None and walk.over and number not in self._claims.values():
            self._over[number] = None
            self._match()

    def _match(self) -> None:
        """Give trials that are through to coordinators that wait, in the order of both."""
        while self._over and self._waiting:
            number, coordinator = next(iter(self._over)), next(iter(self._waiting))
            del self._over[number]
            self._claims[coordinator] = number
            self._waiting.pop(coordinator).set_result(number)
