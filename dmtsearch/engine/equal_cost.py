"""Equal cost in a search: the one cost that all trials and control arms share, and its arms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, SearchSpec, expand
from dmtsearch.space import Space
from dmtsearch.space.hole import Value

from .bounds import REFUSALS, first_problem
from .messages import SEARCH

if TYPE_CHECKING:
    from dmtsearch.training.stage_kind import Plan

Resolve = Callable[[Schedule], "Plan"]
"""Resolves a schedule on the run's data."""
DRAWS = 256
"""Draws of which the dearest sets the cost, beside the anchor."""
MANY_TIMES = 20
"""An arm with more than so many times the epochs that were written is warned about."""


def find_cost(space: Space, resolve: Resolve) -> int:
    """The cost in sample-MACs that `search.equal_cost` stands for, the same for every seed.

    With `true` it is the dearest of the anchor and 256 draws, each as it is written; what cannot
    run does not count.

    Raises:
        ScheduleError: Neither the anchor nor a draw can run.
    """
    from dmtsearch.training.equal_cost import counted_cost

    spec = space.search
    if not isinstance(spec.equal_cost, bool):
        return spec.equal_cost
    costs: list[int] = []
    reasons: list[str] = []
    for values in _drawn(space):
        try:
            plan = resolve(space.fill(values))
            costs.append(counted_cost(plan, first=spec.first_model))
        except REFUSALS as error:
            reasons.append(first_problem(error))
    if not costs:
        head = f"no equal cost: neither the anchor nor any of {DRAWS} draws can run; the first:"
        raise ScheduleError(space.where, [head, *dict.fromkeys(reasons[:5])])
    return max(costs)


def _drawn(space: Space) -> Iterator[dict[str, Value]]:
    """The anchor's values and those of the draws, equal ones once."""
    from .suggest import name_of  # loads Optuna

    seen = set[str]()
    for draw in range(-1, DRAWS):
        try:
            values = space.anchor_values() if draw < 0 else space.sample(draw)
        except ScheduleError:
            return  # of a thousand draws none could be filled: no other thousand will do better
        name = name_of(values)
        if name not in seen:
            seen.add(name)
            yield values


def equaliser(spec: SearchSpec, resolve: Resolve) -> Callable[[Schedule], Schedule] | None:
    """What gives a schedule the epochs of equal cost; None where the search does not want it.

    Args:
        spec: Its `equal_cost` is a number by now.
        resolve: As above.
    """
    from dmtsearch.training.equal_cost import at_equal_cost

    if spec.equal_cost is False:
        return None
    cost = int(spec.equal_cost)
    return partial(at_equal_cost, cost=cost, resolve=resolve, first=spec.first_model)


@dataclass(frozen=True)
class ArmCost:
    """The anchor or a control arm at equal cost, before anything is trained.

    Attributes:
        arm: Its name; `search` for the anchor.
        epochs, hint_epochs: Of its delivered stage.
        written: The epochs of the anchor's delivered stage as they were written.
        cost: Cold cost of its path in sample-MACs, as `search.first_model` counts it.
        hours: Of its path on this machine, one stage after the other; None where it was not timed.
        missing: Why it does not run, else None.
    """

    arm: str
    epochs: int | None = None
    hint_epochs: int | None = None
    written: int = 0
    cost: int | None = None
    hours: float | None = None
    missing: str | None = None

    @property
    def note(self) -> str | None:
        """What should be known of it."""
        if self.epochs is None or self.epochs <= MANY_TIMES * self.written:
            return None
        who = "the anchor" if self.arm == SEARCH else f"the control arm {self.arm}"
        return (
            f"at equal cost {who} trains for {self.epochs:,} epochs, more than {MANY_TIMES} times "
            f"the {self.written} that are written"
        )

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch check --json` prints it."""
        names = ("arm", "epochs", "hint_epochs", "cost", "hours", "missing")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class EqualCost:
    """A space's equal cost, before anything is trained.

    Attributes:
        cost: In sample-MACs.
        arms: The anchor first, then the control arms.
    """

    cost: int
    arms: tuple[ArmCost, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known of it."""
        return tuple(note for arm in self.arms if (note := arm.note) is not None)

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch check --json` prints it."""
        return {"cost": self.cost, "arms": [arm.as_dict() for arm in self.arms]}


def check_equal_cost(
    space: Space, resolve: Resolve, hours: Callable[["Plan"], float | None] = lambda plan: None
) -> EqualCost:
    """What the anchor and each control arm of a space become at equal cost.

    Args:
        space: Asks for it.
        resolve: As above.
        hours: What a path takes on this machine, where that is known.

    Raises:
        ScheduleError: Neither the anchor nor a draw can run.
    """
    from .prepare import arms_of

    space = space.with_equal_cost(find_cost(space, resolve))
    spec, anchor = space.search, space.anchor()
    at_cost = equaliser(spec, resolve)
    written = expand(anchor).stage(anchor.deliver or "").epochs
    found: list[ArmCost] = []

    def add(name: str, schedule: Schedule | None, missing: str | None) -> None:
        try:
            if schedule is not None:
                found.append(_arm_cost(name, schedule, written, spec, resolve, hours))
                return
        except REFUSALS as error:
            missing = first_problem(error)
        found.append(ArmCost(name, missing=missing))

    try:
        add(SEARCH, at_cost(anchor) if at_cost else anchor, None)
    except REFUSALS as error:
        add(SEARCH, None, first_problem(error))
    arms = arms_of(anchor, spec.controls, resolve, at_cost=at_cost, first_model=spec.first_model)
    for arm in arms:
        add(arm.name, arm.schedule, arm.reason_missing)
    return EqualCost(int(spec.equal_cost), tuple(found))


def _arm_cost(
    name: str,
    schedule: Schedule,
    written: int,
    spec: SearchSpec,
    resolve: Resolve,
    hours: Callable[["Plan"], float | None],
) -> ArmCost:
    from dmtsearch.training.equal_cost import counted_cost

    plan = resolve(schedule)
    last = plan.stage(plan.deliver).stage
    hints = last.hint_phase.epochs if last.hint_phase else 0
    cost = counted_cost(plan, first=spec.first_model)
    return ArmCost(name, last.epochs, hints, written, cost, hours(plan))
