"""The schedules that a confirmation tests: the chosen one, and controls made from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dmtsearch.errors import ScheduleError, UsageError
from dmtsearch.schedule import (
    Expanded,
    Schedule,
    Stage,
    as_schedule,
    expand,
    first_model,
)
from dmtsearch.space import CannotHaveError, Costs, ScheduleView

from .messages import Prepare

CHOSEN = "chosen"
CONTROLS = ("scratch_long", "direct_long", "best_direct")


@dataclass(frozen=True)
class PathArm:
    """One schedule of a confirmation under one seed, as a `Searcher` takes an arm.

    Attributes:
        name: `chosen`, a control, `choose_TRIAL` or `vary_VARIANT`.
        schedule: What it runs.
        seed: In place of the schedule's own.
    """

    name: str
    schedule: Schedule | None
    seed: int
    reason_missing: str | None = None


def replicate(schedule: Schedule, *, first_seed: int | None = None) -> Schedule:
    """A schedule in which every stage takes the replicate's seed: whole paths are repeated.

    Args:
        schedule: Any.
        first_seed: Of its first model, which replicates then share; as the others if None.
    """
    whole = expand(schedule)
    first = first_model(whole) if first_seed is not None else None
    stages = [
        replace(stage, seed=first_seed if stage.name == first else None) for stage in whole.stages
    ]
    # A stage's seed that is the schedule's own is none; replicates have seeds of their own.
    seed = whole.seed if first_seed is None else first_seed + 1
    return as_schedule(replace(whole, seed=seed, stages=tuple(stages)))


def sharing_first(schedule: Schedule, seed: int) -> Schedule:
    """A schedule whose first model has a seed of its own; as it is where it has no source."""
    whole = expand(schedule)
    first = first_model(whole)
    stages = [replace(s, seed=seed) if s.name == first else s for s in whole.stages]
    return schedule if first is None else as_schedule(replace(whole, stages=tuple(stages)))


def is_given(schedule: Schedule, declared: str) -> bool:
    """Whether the first model is there already: not trained, or so by `search.first_model`.

    Args:
        schedule: Any of the run's.
        declared: `search.first_model`.
    """
    whole = expand(schedule)
    first = first_model(whole)
    if whole.stage(whole.deliver).learns_from == "selector":
        # It has a first model for each modality.
        return any(stage.epochs == 0 for stage in whole.stages if not stage.reads)
    return first is not None and (declared == "given" or whole.stage(first).epochs == 0)


AtCost = Callable[[Schedule], Schedule]
"""Gives a schedule's delivered stage the most whole epochs that one cost pays for
(`dmtsearch.training.equal_cost`); raises ScheduleError under one epoch."""


def controls_of(
    chosen: Schedule, one_hop: Stage | None, at_cost: AtCost, prepare: Prepare
) -> tuple[dict[str, Schedule], dict[str, str]]:
    """Return the controls of a chosen schedule at one cost, and why others cannot be made.

    Controls that would run the same stages are one; one that is the chosen schedule is none.

    Args:
        chosen: Of replicates (`replicate`).
        one_hop: Delivered stage of the best trial by val that learns from a first model directly,
            by soft targets alone; None where there is none.
        at_cost: Gives each the same cost.
        prepare: Resolves a schedule.
    """
    view = view_of(expand(chosen))
    makers: Mapping[str, Callable[[], Sequence[Stage]]] = {
        "scratch_long": lambda: [view.bare()],
        "direct_long": lambda: [view.first, view.taught(view.first)],
        "best_direct": lambda: _best_direct(view, one_hop),
    }
    known = {prepare(chosen).key: "it is the chosen schedule"}
    found: dict[str, Schedule] = {}
    missing: dict[str, str] = {}
    for name in CONTROLS:
        try:
            stages = tuple(makers[name]())
            whole = replace(view.whole, name=name, stages=stages, deliver=stages[-1].name)
            made = at_cost(as_schedule(whole))
            key = prepare(made).key
        except CannotHaveError as reason:
            missing[name] = str(reason)
            continue
        except (ScheduleError, UsageError) as error:
            missing[name] = str(error).splitlines()[0]
            continue
        if key in known:
            missing[name] = known[key]
            continue
        known[key] = f"it is {name}"
        found[name] = made
    return found, missing


def _best_direct(view: ScheduleView, one_hop: Stage | None) -> Sequence[Stage]:
    taught = view.taught(view.first)
    if one_hop is not None:
        taught = replace(taught, soft=one_hop.soft, optimizer=one_hop.optimizer)
    return [view.first, taught]


def one_hop_of(schedule: Schedule) -> Stage | None:
    """The delivered stage of a schedule of one hop by soft targets alone; None of any other."""
    whole = expand(schedule)
    last = whole.stage(whole.deliver)
    if len(last.sources) != 1 or last.soft is None:
        return None
    source = whole.stage(last.sources[0].stage)
    plain = not (last.hints or last.merit or last.init or source.sources)
    return last if plain else None


def view_of(
    whole: Expanded, points: Callable[[str], Sequence[str]] = lambda stage: ()
) -> ScheduleView:
    """A schedule as the makers of arms look at it; `points` lists a model's hint points."""
    return ScheduleView(whole, Costs(0, 0, 0, 0), points)
