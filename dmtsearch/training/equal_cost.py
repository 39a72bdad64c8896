"""Equal cost: as long a training of the delivered stage as a given cold cost pays for.

The path before the delivered stage and its hint phase cost what they cost; what is left buys
whole epochs. The cost of a path rises strictly with these epochs, so the largest number of them
within a cost is one number. Formulas: docs/schedule.md, "Cold cost" and "Equal cost".
"""

from collections.abc import Callable
from dataclasses import replace

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, expand, first_model, with_epochs
from dmtsearch.training.stage_kind import Plan

GIVEN = "given"
"""The first model's training does not count (`search.first_model`)."""

Resolve = Callable[[Schedule], Plan]
"""Resolves a schedule on the data of a run; raises what `check` refuses."""


def uncounted(plan: Plan, first: str) -> str | None:
    """Name of the stage whose cost does not count by `search.first_model` (`first`)."""
    return first_model(expand(plan.schedule)) if first == GIVEN else None


def counted_cost(plan: Plan, *, first: str = "trained") -> int:
    """Cold cost of the path in sample-MACs, as `search.first_model` (`first`) counts it."""
    free = uncounted(plan, first)
    return sum(stage.cost() for stage in plan.stages if stage.name != free)


def largest_epochs(plan: Plan, cost: int, *, first: str = "trained") -> int:
    """The largest whole number of epochs of the delivered stage for a cold cost.

    Args:
        plan: Its delivered stage has at least one epoch, however many; the size of its training
            split is known.
        cost: Of the whole path, at most, in sample-MACs.
        first: `search.first_model`.

    Returns:
        0 where not even one epoch is paid for.

    Raises:
        ScheduleError: An epoch of the delivered stage costs nothing, so that none is the last.
    """
    last = plan.stage(plan.deliver)
    # As it was written: a plan drops an `until` that makes no difference to its own epochs.
    written = plan.schedule.stages[plan.deliver].soft
    before = counted_cost(plan, first=first) - last.cost()
    epoch = last.costs().epoch
    if not epoch:
        rule = "an epoch of this model costs nothing, so equal cost sets no end to its training"
        raise ScheduleError(
            plan.schedule.where,
            [plan.schedule.problem(path=f"{last.stage.path}.model", rule=rule)],
        )

    def pays_for(epochs: int) -> bool:
        soft = last.stage.soft
        if soft is not None and written is not None:
            soft = replace(soft, until=written.until)
        stage = replace(last.stage, epochs=epochs, soft=soft)
        return before + replace(last, stage=stage).cost() <= cost

    enough, too_many = 0, max(0, cost - before) // epoch + 1
    while enough + 1 < too_many:
        middle = (enough + too_many) // 2
        if pays_for(middle):
            enough = middle
        else:
            too_many = middle
    return enough


def at_equal_cost(
    schedule: Schedule, cost: int, resolve: Resolve, *, first: str = "trained"
) -> Schedule:
    """Return `schedule` with the largest whole `epochs` at its delivered stage for a cold cost.

    Args:
        schedule: The epochs of its delivered stage are not looked at.
        cost: Of the whole path, at most, in sample-MACs.
        resolve: Resolves a schedule on the run's data.
        first: `search.first_model`: whether the first model's training counts.

    Raises:
        ScheduleError: `cost` pays for less than one epoch, or the schedule cannot run.
        ModelError, ShapeError, UsageError: `resolve` refuses it.
    """
    begun = (
        schedule if schedule.stages[schedule.deliver or ""].epochs else with_epochs(schedule, 1)
    )
    plan = resolve(begun)
    if plan.num_train is None:
        raise ScheduleError(
            schedule.where, ["equal cost needs the size of the training split, which is not known"]
        )
    epochs = largest_epochs(plan, cost, first=first)
    if epochs:
        return with_epochs(schedule, epochs)
    last = plan.stage(plan.deliver)
    least = replace(last, stage=replace(last.stage, epochs=1)).cost()
    least += counted_cost(plan, first=first) - last.cost()
    rule = (
        f"the equal cost of {cost:,} sample-MACs pays for less than one epoch of this stage: with "
        f"one, the whole path costs {least:,}"
    )
    raise ScheduleError(
        schedule.where, [schedule.problem(path=f"{last.stage.path}.epochs", rule=rule)]
    )
