"""Control arms: what every search runs for comparison, made from one schedule S.

M is S's delivered model, E its epochs with the hint phase, C the schedule's cold cost. All arms
use S's data, M's optimizer and M's `keep`. An arm that S cannot have is named with the reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dmtsearch.errors import DmtSearchError, ProblemsError, ScheduleError, nearest
from dmtsearch.schedule import Expanded, Schedule, Stage, as_schedule, expand

from .recipes import RECIPES, SHORT_ARMS
from .schedule_view import CannotHaveError, Costs, ScheduleView


@dataclass(frozen=True)
class Arm:
    """A control arm, one for each of its seeds.

    Attributes:
        name: As in `RECIPES`.
        schedule: What it runs; None where S cannot have it. Of a replicate, every stage but the
            delivered one keeps S's seed, so that all share one first model.
        seed: Of the delivered stage.
        reason_missing: Why S cannot have it, else None.
        capped: Whether equal cost would take longer than the arm may.
    """

    name: str
    schedule: Schedule | None
    seed: int
    reason_missing: str | None = None
    capped: bool = False


def control_arms(
    schedule: Schedule,
    names: Sequence[str] | str,
    *,
    costs: Costs,
    points: Callable[[str], Sequence[str]],
    at_cost: Callable[[Schedule], Schedule] | None = None,
) -> tuple[Arm, ...]:
    """Return the control arms of a schedule, in the order of the table.

    Args:
        schedule: S.
        names: Names of arms, or `default` for all, or `none`.
        costs: For the arms of equal cost.
        points: Names of the hint points that a stage's model lists, shallow to deep.
        at_cost: Gives a schedule the epochs of equal cost, or refuses; None without equal cost.
            With it the short arms do not run, and placebos have the epochs that S has by it
            (see `placebo_within`).

    Raises:
        ScheduleError: An unknown name.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    if wanted == ["none"]:
        return ()
    if wanted == ["default"]:
        wanted = [name for name in RECIPES if at_cost is None or name not in SHORT_ARMS]
    unknown = [name for name in wanted if name not in RECIPES]
    if unknown:
        problems = [
            f"search.controls: no arm {name!r}{nearest(name, RECIPES)}" for name in unknown
        ]
        raise ScheduleError(schedule.where, problems)
    view = ScheduleView(expand(schedule), costs, points)
    equal = view
    reason: str | None = None
    if at_cost is not None:
        try:
            equal = ScheduleView(expand(at_cost(schedule)), costs, points)
        except DmtSearchError as error:
            reason = _first_problem(error)
    found: list[Arm] = []
    for name in [name for name in RECIPES if name in wanted]:
        recipe = RECIPES[name]
        if recipe.placebo and reason is not None:
            found.append(Arm(name, None, view.whole.seed, reason))
            continue
        for seed in range(view.whole.seed, view.whole.seed + recipe.seeds):
            found.append(_make(name, equal if recipe.placebo else view, seed, at_cost))
            if found[-1].reason_missing is not None:
                break
    return tuple(found)


def _make(
    name: str,
    view: ScheduleView,
    seed: int,
    at_cost: Callable[[Schedule], Schedule] | None = None,
) -> Arm:
    short = next((short for short, long in SHORT_ARMS.items() if long == name), name)
    recipe = RECIPES[name if at_cost is None else short]
    try:
        stages, capped = recipe.make(view)
        made = as_schedule(_assembled(name, view, stages, seed))
    except CannotHaveError as reason:
        return Arm(name, None, seed, str(reason))
    except ScheduleError as error:
        return Arm(name, None, seed, f"it would be no valid schedule: {error.problems[0]}")
    if at_cost is not None:
        try:
            made = placebo_within(made, at_cost) if recipe.placebo else at_cost(made)
        except DmtSearchError as error:
            return Arm(name, None, seed, _first_problem(error))
    return Arm(name, made, seed, capped=capped)


def placebo_within(placebo: Schedule, at_cost: Callable[[Schedule], Schedule]) -> Schedule:
    """A placebo with the epochs of what it stands for, or as many as equal cost pays for.

    It mostly costs less, and what is left stays unspent. Untrained copies that hints read beside
    the sources of soft targets cost passes more.
    """
    paid = at_cost(placebo)
    return paid if _epochs(paid) < _epochs(placebo) else placebo


def _epochs(schedule: Schedule) -> int:
    return expand(schedule).stage(schedule.deliver or "").epochs


def _first_problem(error: DmtSearchError) -> str:
    return error.problems[0] if isinstance(error, ProblemsError) else str(error)


def _assembled(name: str, view: ScheduleView, stages: Sequence[Stage], seed: int) -> Expanded:
    """A schedule of these stages; a replicate's seed is that of its delivered stage alone."""
    *earlier, last = stages
    if seed != view.whole.seed:
        own = view.whole.seed
        earlier = [
            stage if stage.seed is not None else replace(stage, seed=own) for stage in earlier
        ]
    whole = replace(view.whole, name=name, seed=seed, stages=(*earlier, last), deliver=last.name)
    # What an arm no longer learns from is none of its stages.
    return replace(whole, stages=whole.needed())
