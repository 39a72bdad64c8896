"""The control arms of a run: made from its anchor, with costs and hint points looked up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dmtsearch.schedule import Schedule, expand
from dmtsearch.space import Arm, Costs, control_arms

if TYPE_CHECKING:
    from .prepare import PrepareContext


def arms_of(anchor: Schedule, names: Sequence[str], context: PrepareContext) -> tuple[Arm, ...]:
    """Return the control arms that a search runs beside its trials.

    Args:
        anchor: The middle of each range, the first of each choice.
        names: `search.controls`.
        context: The run's data and the user's own modules.

    Raises:
        ScheduleError: The anchor itself cannot run, or an arm's name is unknown.
    """
    from dmtsearch.models import build_skeleton, list_points
    from dmtsearch.stage_kinds import resolve
    from dmtsearch.training.build import OBJECT

    num_train = context.data.split_sizes["train"]
    plan = resolve(
        anchor,
        context.data.facts,
        num_train=num_train,
        num_selector=context.data.split_sizes.get("selector"),
        objects=context.objects,
        folder=context.folder,
    )
    needed = {stage.name for stage in expand(anchor).needed()}
    first = plan.stages[0]

    def points(name: str) -> tuple[str, ...]:
        resolved = plan.stage(name)
        if OBJECT in resolved.model:
            return tuple(list_points(context.objects[name]))
        skeleton = build_skeleton(
            resolved.model, in_shape=resolved.in_shape, num_classes=resolved.num_classes
        )
        return tuple(list_points(skeleton))

    path = sum(stage.cost() for stage in plan.stages if stage.name in needed)
    costs = Costs(
        first=first.macs,
        delivered=plan.stage(plan.deliver).macs,
        path=path // num_train,
        first_path=first.cost(1),
    )
    return control_arms(anchor, names, costs=costs, points=points)
