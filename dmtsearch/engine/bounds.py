"""What can be said of a draw before training: whether it runs, and keeps within its bounds."""

from collections.abc import Callable, Mapping
from typing import Literal

from dmtsearch.errors import ModelError, ProblemsError, ScheduleError, ShapeError, UsageError
from dmtsearch.schedule import Schedule, SearchSpec
from dmtsearch.schedule.search import BoundSpec
from dmtsearch.space import Space

from .messages import Prepare, Sized

Constraints = Mapping[Literal["params", "macs", "cold_cost"], BoundSpec]
REFUSALS = (ScheduleError, ModelError, ShapeError, UsageError)
"""What `prepare` raises for a schedule that cannot run; anything else is no fault of the draw."""
TRIES = 200
_MAX_REASONS = 5


def first_problem(error: Exception) -> str:
    """The first thing that is wrong, in one sentence."""
    if isinstance(error, ProblemsError) and error.problems:
        return error.problems[0]
    return str(error)


def excess_of(sized: Sized, constraints: Constraints) -> dict[str, float]:
    """By how much each bound is broken, relative to it: above 0 where it is, else 0 or less."""
    found: dict[str, float] = {}
    for name, bound in constraints.items():
        value = float(getattr(sized, name))
        if bound.max is not None:
            found[f"{name} max"] = (value - bound.max) / max(abs(bound.max), 1.0)
        if bound.min is not None:
            found[f"{name} min"] = (bound.min - value) / max(abs(bound.min), 1.0)
    return found


def broken_bound(sized: Sized, constraints: Constraints) -> str | None:
    """The first broken bound in words; None where a schedule keeps within all of them."""
    for name, bound in constraints.items():
        value = getattr(sized, name)
        if bound.max is not None and value > bound.max:
            return f"{name} is {value:,}, above the bound of {bound.max:,.12g}"
        if bound.min is not None and value < bound.min:
            return f"{name} is {value:,}, below the bound of {bound.min:,.12g}"
    return None


def check_satisfiable(
    space: Space,
    spec: SearchSpec,
    prepare: Prepare,
    seed: int,
    at_cost: Callable[[Schedule], Schedule] | None = None,
) -> None:
    """Refuse a space none of whose schedules can run within the bounds.

    The anchor is tried first, then draws.

    Raises:
        ScheduleError: Neither the anchor nor any of 200 draws can; gives the first reasons.
    """
    reasons: list[str] = []
    for attempt in range(TRIES + 1):
        try:
            # The first draws make any schedule; `prepare` says whether its shapes fit.
            schedule = space.anchor() if attempt == 0 else space.draw(seed + attempt)
            if at_cost is not None:
                schedule = at_cost(schedule)
            reason = _reason_against(schedule, spec, prepare)
        except REFUSALS as error:
            reason = first_problem(error)
        if reason is None:
            return
        if reason not in reasons and len(reasons) < _MAX_REASONS:
            reasons.append(reason)
    raise ScheduleError(
        space.where,
        [
            f"no schedule of this space can be tried: neither its anchor nor {TRIES} draws; "
            "widen its holes or its constraints. The first reasons:",
            *reasons,
        ],
    )


def _reason_against(schedule: Schedule, spec: SearchSpec, prepare: Prepare) -> str | None:
    try:
        return broken_bound(prepare(schedule), spec.constraints)
    except REFUSALS as error:
        return first_problem(error)
