"""A search without training: trials as the searcher proposes them, stages as the scheduler starts
them, by a clock of its own.

Searcher, sampler, control arms and stage scheduler are those of a search. Only two things are
stand-ins: a trial's result is a number drawn by its key, which a sampler like TPE then learns
from; and a stage takes as long as it is estimated to.
"""

import asyncio
import pickle
import random
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from ..schedule import SearchSpec
from ..space import Space
from .driver_options import DriverOptions
from .equal_cost import find_cost
from .ledger_lines import TrialProposed
from .messages import SEARCH, RunnableStage, RunnableTrial, StageOutcome, TrialOutcome
from .prepare import PrepareContext, open_searcher
from .run_paths import RunPaths
from .slots import ClusterNode
from .stage_scheduler import StageScheduler

if TYPE_CHECKING:
    from ..store import Store
    from ..training.stage_kind import StageJob

Seconds = Callable[["StageJob", bool], float]
"""How long a stage takes, and whether its hint phase is there already."""
LEARNED = 100
"""Trials that are proposed by a sampler which learns from results."""


def learns(spec: SearchSpec) -> bool:
    """Whether the search's sampler proposes by the results of earlier trials."""
    return spec.sampler not in ("random", "grid")


@dataclass(frozen=True)
class SimulatedSearch:
    """What a search would run.

    Attributes:
        space: With its equal cost as a number.
        trials: In the order in which they begin, control arms among them.
        proposed: The ledger's line of each.
        missing: Control arms that the space cannot have, with the reason.
        over: Why there are no more: `trials`, `used_up`, `duplicates`.
        at_random: Trials that were drawn at random in place of a sampler that learns.
    """

    space: Space
    trials: tuple[RunnableTrial, ...]
    proposed: tuple[TrialProposed, ...]
    missing: Mapping[str, str]
    over: str | None
    at_random: int = 0

    @property
    def spec(self) -> SearchSpec:
        return self.space.search

    @property
    def num_searched(self) -> int:
        """Trials that the sampler has proposed."""
        return sum(trial.arm == SEARCH for trial in self.trials)

    @cached_property
    def requested(self) -> tuple[RunnableStage, ...]:
        """Every stage of every trial, as often as it is asked for."""
        return tuple(stage for trial in self.trials for stage in trial.stages)

    @cached_property
    def jobs(self) -> dict[str, "StageJob"]:
        """By key."""
        first = {stage.key: stage for stage in reversed(self.requested)}
        return {key: pickle.loads(stage.job) for key, stage in first.items()}


def simulate_search(
    space: Space, context: PrepareContext, *, trials: int | None, seed: int
) -> SimulatedSearch:
    """Propose a search's trials, one after the other, each ending with a stand-in result.

    No pruner stops one: what is found is the most that the search runs. From `LEARNED` trials on
    all are drawn at random: what a sampler learns from stand-ins is chance too, and the time it
    takes grows with their square.

    Raises:
        ScheduleError: Nothing of the space can be tried.
        UsageError: Fewer than one trial.
    """
    total = DriverOptions(trials=trials).trials or space.search.trials
    if space.search.equal_cost is True:
        space = space.with_equal_cost(find_cost(space, context.resolve))
    with TemporaryDirectory() as folder:
        searcher = open_searcher(
            space,
            context,
            RunPaths(Path(folder)),
            trials=total,
            seed=seed,
        )
        found: list[RunnableTrial] = []
        learned: int | None = None
        while (trial := searcher.next()) is not None:
            found.append(trial)
            record = _stand_in(f"{seed}/{trial.delivered.key}")
            searcher.end(trial.trial, TrialOutcome("done", record, epochs=trial.epochs))
            if learned is None and len(found) >= LEARNED and learns(space.search):
                learned = sum(one.arm == SEARCH for one in found)
                searcher.draw_at_random()
        state = searcher.state
        num_searched = sum(trial.arm == SEARCH for trial in found)
        return SimulatedSearch(
            space,
            tuple(found),
            tuple(state.trials[trial.trial] for trial in found),
            {name: arm.reason for name, arm in state.missing.items()},
            searcher.over,
            at_random=0 if learned is None else num_searched - learned,
        )


def _stand_in(name: str) -> dict[str, Any]:
    """A result that says nothing of its schedule, and is the same whenever it is drawn."""
    value = random.Random(name).random()
    metrics = {"n": 1, "accuracy": value, "nll": value, "ece": value, "regret": value}
    return {"metrics": {"val": metrics}, "latency": {"median_ms": value}, "history": []}


# -- the scheduler's own rules, by a clock that jumps --------------------------------------------


def run_by_clock(
    found: SimulatedSearch, slots: int, seconds: Seconds
) -> tuple[float, dict[str, int]]:
    """Let the stage scheduler run all trials on one machine.

    Args:
        found: Its trials.
        slots: CPUs (or GPU shares) of it: stages of one CPU that run at once.
        seconds: How long a stage takes.

    Returns:
        Seconds in all, and the epochs of hints that were run, by the key of each stage that was.
    """
    loop = ClockLoop()
    try:
        return loop.run_until_complete(_run(found, slots, seconds))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


async def _run(
    found: SimulatedSearch, slots: int, seconds: Seconds
) -> tuple[float, dict[str, int]]:
    loop, jobs = asyncio.get_running_loop(), found.jobs
    ran: dict[str, int] = {}
    hinted: dict[str, asyncio.Future[None]] = {}

    async def launch(stage: RunnableStage, attempt: str, title: str) -> StageOutcome:
        job = jobs[stage.key]
        key, rest = job.keys.hint_key, seconds(job, True)
        ran[stage.key] = 0 if key in hinted else stage.request.hint_epochs
        if key is not None and key in hinted:
            await hinted[key]
        elif key is not None:
            hinted[key] = loop.create_future()
            await asyncio.sleep(seconds(job, False) - rest)
            hinted[key].set_result(None)
        await asyncio.sleep(rest)
        return StageOutcome("done", record={"history": []})

    node = _machine(found, slots)
    nothing = cast("Store", EmptyStore())
    scheduler = StageScheduler(
        nothing, launch, lambda: [replace(node, used=[])], first=0, idle_s=None
    )
    waiting = iter(found.trials)

    async def coordinate() -> None:
        for trial in waiting:
            await walk(scheduler, trial)

    await asyncio.gather(*(coordinate() for _ in range(2 * slots)))
    return loop.time(), ran


def _machine(found: SimulatedSearch, slots: int) -> ClusterNode:
    """One that has what any stage requests, and else so many CPUs and GPUs."""
    needs = [stage.needs for stage in found.requested]
    labels = [one.label.partition("=") for one in needs if one.label is not None]
    return ClusterNode(
        "here",
        cpu=max([float(slots), *(one.cpu for one in needs)]),
        gpu=max([float(slots), *(one.gpu for one in needs)]),
        memory=float("inf"),
        labels={name: value or name for name, _, value in labels},
    )


async def walk(scheduler: StageScheduler, trial: RunnableTrial) -> None:
    """Add a trial, and end one that is over, as a search's driver and coordinators do."""
    await scheduler.add_trial(trial)
    claim = await scheduler.claim(f"coordinator {trial.trial}")
    answer = claim.answer
    if claim.trial is not None and claim.watched and answer.status == "done":
        answer = await scheduler.finish(claim.trial)
    assert claim.trial is not None
    assert answer.status == "done", answer.reason
    await scheduler.release([claim.trial])


class EmptyStore:
    """Has nothing."""

    def get(self, key: str, **options: Any) -> None:
        return None


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for nothing: its clock jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> Any:
        """At once, and here: a thread would run by the clock on the wall."""
        done = self.create_future()
        done.set_result(func(*args))
        return done


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: ClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("the simulated search waits for something that never happens")
        self._loop.now += timeout
        return super().select(0)
