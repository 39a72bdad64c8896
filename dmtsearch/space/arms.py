"""Control arms: what every search runs for comparison, made from one schedule S.

M is S's delivered model, E its epochs with the hint phase, C the schedule's cold cost. All arms
use S's data, M's optimizer and M's `keep`. An arm that S cannot have is named with the reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dmtsearch.errors import ScheduleError, nearest
from dmtsearch.schedule import Expanded, Schedule, Stage, as_schedule, expand

from .recipes import RECIPES
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
) -> tuple[Arm, ...]:
    """Return the control arms of a schedule, in the order of the table.

    Args:
        schedule: S.
        names: Names of arms, or `default` for all, or `none`.
        costs: For the arms of equal cost.
        points: Names of the hint points that a stage's model lists, shallow to deep.

    Raises:
        ScheduleError: An unknown name.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    if wanted == ["none"]:
        return ()
    if wanted == ["default"]:
        wanted = list(RECIPES)
    unknown = [name for name in wanted if name not in RECIPES]
    if unknown:
        problems = [
            f"search.controls: no arm {name!r}{nearest(name, RECIPES)}" for name in unknown
        ]
        raise ScheduleError(schedule.where, problems)
    view = ScheduleView(expand(schedule), costs, points)
    found: list[Arm] = []
    for name in [name for name in RECIPES if name in wanted]:
        for seed in range(view.whole.seed, view.whole.seed + RECIPES[name].seeds):
            found.append(_make(name, view, seed))
            if found[-1].reason_missing is not None:
                break
    return tuple(found)


def _make(name: str, view: ScheduleView, seed: int) -> Arm:
    try:
        stages, capped = RECIPES[name].make(view)
        made = as_schedule(_assembled(name, view, stages, seed))
    except CannotHaveError as reason:
        return Arm(name, None, seed, str(reason))
    except ScheduleError as error:
        return Arm(name, None, seed, f"it would be no valid schedule: {error.problems[0]}")
    return Arm(name, made, seed, capped=capped)


def _assembled(name: str, view: ScheduleView, stages: Sequence[Stage], seed: int) -> Expanded:
    """A schedule of these stages; a replicate's seed is that of its delivered stage alone."""
    *earlier, last = stages
    if seed != view.whole.seed:
        own = view.whole.seed
        earlier = [
            stage if stage.seed is not None else replace(stage, seed=own) for stage in earlier
        ]
    return replace(view.whole, name=name, seed=seed, stages=(*earlier, last), deliver=last.name)
