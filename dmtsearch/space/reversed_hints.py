"""The arm `hint_reversed`: do hints help because of where they point, or by being there?"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dmtsearch.schedule import Hint

from .schedule_view import CannotHaveError, Made, ScheduleView


def hint_reversed(view: ScheduleView) -> Made:
    """S with each pair's source point mirrored in its model's list.

    No placebo: of four points, the second is mirrored to its neighbour (`hint_untrained` is).
    """
    if not any(stage.hints for stage in view.whole.stages):
        raise CannotHaveError("the schedule has no hints")
    mirrored = [
        replace(stage, hints=tuple(_mirrored(hint, view.points) for hint in stage.hints))
        for stage in view.whole.stages
    ]
    if mirrored == list(view.whole.stages):
        raise CannotHaveError(
            "each hint's source point is the middle of its model's list, so that mirroring "
            "changes nothing"
        )
    return mirrored, False


def _mirrored(hint: Hint, points: Callable[[str], Sequence[str]]) -> Hint:
    if not isinstance(hint.source, str):
        return replace(hint, source=1 - hint.source)
    listed = list(points(hint.stage))
    if hint.source not in listed:
        raise CannotHaveError(
            f"hint point {hint.stage}.{hint.source} is a module path, not one of its model's list"
        )
    return replace(hint, source=listed[-1 - listed.index(hint.source)])
