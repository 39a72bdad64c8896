"""What a schedule or a search costs before it runs: sample-MACs, and hours on this machine."""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..evidence.looks import FIRST_LOOKS
from ..machine import slots_here
from ..schedule import Schedule, parse_schedule
from ..space import Space
from .bounds import REFUSALS
from .confirm_arms import controls_of, is_given, one_hop_of, replicate, sharing_first
from .confirm_kinds import confirm_kind
from .confirm_plan import CHOOSING_SEEDS
from .confirm_trials import USUAL_TOP
from .confirm_variants import DIMENSIONS, ChosenPath
from .equal_cost import equaliser
from .equal_size import searches_sizes
from .messages import SEARCH, Prepared
from .prepare import PrepareContext, points_of, preparer
from .simulation import Seconds, SimulatedSearch, learns, run_by_clock, simulate_search

if TYPE_CHECKING:
    from ..training.stage_kind import Plan, StageJob
    from ..training.stage_times import StageTimes

SLOTS = (1, 8, 64)
START_S = 12.0
"""A search on this machine starts Ray and its processes, and writes its last tables."""
HOUR_S = 3600.0
_MACS_A_SECOND = 1e9
"""Where nothing is timed, so that long stages take longer than short ones."""


@dataclass(frozen=True)
class Price:
    """What something costs.

    Attributes:
        cost: Sample-MACs, shared stages once.
        hours: On this machine, or on so many slots; None where nothing was timed.
        paths: Schedules that are trained.
    """

    cost: int
    hours: float | None
    paths: int = 1

    def as_dict(self) -> dict[str, Any]:
        return {"paths": self.paths, "cost": self.cost, "hours": self.hours}


@dataclass(frozen=True)
class SearchPlan:
    """A search as it would run, and what it costs.

    Attributes:
        schedules: Different fills of the space; None where a hole is continuous.
        trials, controls: That run; a space of few schedules has fewer trials than were wanted.
        missing: Control arms that do not run, with the reason.
        over: Why there are no more trials: `trials`, `used_up`, `duplicates`.
        stages_requested, stages_run, epochs_requested, epochs_run, cost_requested, cost_run: By
            all trials and control arms, and what is left of it where each stage runs once.
        by_slots: Hours by how many stages run at once; None where nothing was timed.
        confirm: What `confirm` costs by how far it goes; empty where it cannot be told.
        stand_ins: Whether proposals or control arms depend on results, for which stand-ins were
            drawn.
        prunes: Whether a pruner may stop trials, which is not simulated.
        at_random: Trials that were drawn at random in place of a sampler that learns.
        times: What was timed here.
    """

    schedules: int | None
    trials: int
    controls: int
    missing: Mapping[str, str]
    over: str | None
    stages_requested: int
    stages_run: int
    epochs_requested: int
    epochs_run: int
    cost_requested: int
    cost_run: int
    by_slots: Mapping[int, float | None]
    confirm: Mapping[str, Price]
    stand_ins: bool
    prunes: bool
    at_random: int = 0
    times: "StageTimes | None" = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch plan --json` prints it."""
        names = (
            "schedules", "trials", "controls", "over", "stages_requested", "stages_run",
            "epochs_requested", "epochs_run", "cost_requested", "cost_run", "stand_ins", "prunes",
            "at_random",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "missing": dict(self.missing),
            "slots": [{"slots": n, "hours": hours} for n, hours in self.by_slots.items()],
            "confirm": {name: price.as_dict() for name, price in self.confirm.items()},
        }


def plan_search(
    space: Space,
    context: PrepareContext,
    *,
    trials: int | None = None,
    slots: Sequence[int] = SLOTS,
    seed: int = 0,
    timed: bool = True,
    times: "StageTimes | None" = None,
) -> SearchPlan:
    """Simulate a search and price it; trains nothing.

    Args:
        space: What is searched.
        context: Its data.
        trials: Search trials; the space's own number if None.
        slots: Numbers of stages that run at once.
        seed: Of the search.
        timed: Whether a few steps are timed, for hours.
        times: What was timed before, of the same data and models.

    Raises:
        ScheduleError: Nothing of the space can be tried.
    """
    found = simulate_search(space, context, trials=trials, seed=seed)
    if timed and times is None:
        times = time_jobs(found.jobs.values(), context)
    hours: dict[int, float | None] = {}
    for number in slots:
        took_s, ran = run_by_clock(found, number, _seconds(times))
        hours[number] = (took_s + START_S) / HOUR_S if times is not None else None
    asked = found.requested
    once = {stage.key: stage for stage in asked}
    spec = found.space.search
    return SearchPlan(
        schedules=space.size(),
        trials=found.num_searched,
        controls=len(found.trials) - found.num_searched,
        missing=found.missing,
        over=found.over,
        stages_requested=len(asked),
        stages_run=len(ran),
        epochs_requested=sum(one.request.epochs + one.request.hint_epochs for one in asked),
        epochs_run=sum(once[key].request.epochs + hints for key, hints in ran.items()),
        cost_requested=sum(one.request.cost for one in asked),
        cost_run=sum(
            once[key].costs.of(once[key].request, once[key].request.epochs, hints)
            for key, hints in ran.items()
        ),
        by_slots=hours,
        confirm=_price_confirmation(found, context, times),
        stand_ins=learns(spec) or searches_sizes(space),
        prunes=spec.pruner is not None,
        at_random=found.at_random,
        times=times,
    )


def _seconds(times: "StageTimes | None") -> Seconds:
    """By what was timed; without it, by cost."""
    if times is not None:
        return lambda job, hinted: times.seconds(job.resolved, hints_are_there=hinted)

    def by_cost(job: "StageJob", hinted: bool) -> float:
        hints = job.resolved.stage.hint_phase
        less = job.resolved.costs().hint_epoch * hints.epochs if hints and hinted else 0
        return (job.resolved.cost() - less) / _MACS_A_SECOND

    return by_cost


def time_jobs(jobs: Iterable["StageJob"], context: PrepareContext) -> "StageTimes | None":
    """Time a few steps of stages; None where their device is not here."""
    import torch

    from ..training.stage_times import time_stages

    if context.device.startswith("cuda") and not torch.cuda.is_available():
        return None
    return time_stages(jobs, context.data, objects=context.objects)


def hours_of(plan: "Plan", times: "StageTimes | None") -> float | None:
    """One training of a schedule: its stages one after the other, nothing being there."""
    if times is None:
        return None
    return sum(times.seconds(stage) for stage in plan.stages) / HOUR_S


# -- the confirmation ----------------------------------------------------------------------------


def _price_confirmation(
    found: SimulatedSearch, context: PrepareContext, times: "StageTimes | None"
) -> dict[str, Price]:
    """To its first look, to its last look, and with all that explains: each with what is before.

    The dearest trial stands in for the chosen one, and the first trials for the candidates. A
    first model that is given is that of the search, and is not trained again.
    """
    searched = [one for one in found.proposed if one.arm == SEARCH]
    if not searched:
        return {}
    trials = [parse_schedule(one.schedule, f"trial {one.trial}") for one in searched]
    run_seed = searched[0].seed
    given = is_given(trials[0], found.space.search.first_model)
    first_seed = run_seed if given else None

    def as_path(schedule: Schedule) -> Schedule:
        # On another seed than the search's, so that no stage passes for one of the search.
        return replicate(schedule, first_seed=first_seed).with_seed(run_seed + 1)

    schedules = [as_path(one) for one in trials]
    kind = confirm_kind(schedules[0])
    prepare = preparer(context)
    prepared = [prepare(one) for one in schedules]
    dearest = max(range(len(schedules)), key=lambda n: prepared[n].cold_cost)
    cost = max(one.cold_cost for one in prepared)
    spec = found.space.search
    spec = spec.model_copy(update={"equal_cost": spec.equal_cost or cost})
    at_cost = equaliser(spec, context.resolve)
    assert at_cost is not None, "a confirmation is at equal cost"
    one_hop = next((stage for one in schedules if (stage := one_hop_of(one)) is not None), None)
    try:
        if kind.at_equal_cost:
            chosen = at_cost(schedules[dearest])
            controls = list(controls_of(chosen, one_hop, at_cost, prepare)[0].values())
        else:  # rules train nothing; two other trials may be the best ones by a rule
            chosen = schedules[dearest]
            controls = [one for one in schedules if one is not chosen][:2]
        path = ChosenPath(
            schedule=chosen,
            space=found.space,
            values=searched[dearest].values,
            at_cost=lambda schedule: at_cost(as_path(schedule)),
            prepare=prepare,
            points=partial(points_of, context.resolve(chosen), context.objects),
        )
        variants = kind.variants(path, DIMENSIONS)
    except REFUSALS:
        return {}
    tested = [prepare(one) for one in (chosen, *controls)]
    explained = [prepare(one.schedule) for one in variants]
    totals = _Totals(_seconds(times) if times is not None else None, frozenset(found.jobs))
    candidates = schedules[:USUAL_TOP] if len(schedules) > 1 else []
    choosing = totals.of([prepare(one) for one in _to_choose(candidates, run_seed, given)], 1)
    one, more = totals.of(tested, 1), totals.of([*tested, *explained], 1)
    first, last = FIRST_LOOKS[0], FIRST_LOOKS[-1]
    return {
        "first_look": _sum(choosing, one, first),
        "last_look": _sum(choosing, one, last),
        "explained": _sum(choosing, more, last),
    }


def _to_choose(candidates: Sequence[Schedule], run_seed: int, given: bool) -> list[Schedule]:
    """The candidates on each seed by which one is chosen; they share a first model."""
    return [
        (one if given else sharing_first(one, run_seed + 1)).with_seed(run_seed + 1 + number)
        for number in range(CHOOSING_SEEDS)
        for one in candidates
    ]


@dataclass(frozen=True)
class _Totals:
    """Adds up schedules, each stage once.

    Attributes:
        seconds: What a stage takes; None where nothing was timed.
        known: Keys of stages that the search has trained.
    """

    seconds: Seconds | None
    known: frozenset[str]

    def of(self, schedules: Sequence[Prepared], seeds: int) -> Price:
        every = (stage for one in schedules for stage in one.stages)
        stages = {stage.key: stage for stage in every if stage.key not in self.known}
        cost = seeds * sum(stage.request.cost for stage in stages.values())
        hours = None
        if self.seconds is not None:
            took_s = sum(self.seconds(pickle.loads(one.job), False) for one in stages.values())
            hours = seeds * took_s / HOUR_S / slots_here()
        return Price(cost, hours, seeds * len(schedules))


def _sum(choosing: Price, replicate: Price, count: int) -> Price:
    hours = None
    if choosing.hours is not None and replicate.hours is not None:
        hours = START_S / HOUR_S + choosing.hours + count * replicate.hours
    return Price(
        choosing.cost + count * replicate.cost, hours, choosing.paths + count * replicate.paths
    )
