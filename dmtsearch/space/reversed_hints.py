"""The arm `hint_reversed`: do hints help because of where they point, or by being there?"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dmtsearch.schedule import Hint, SourceRef, Stage, read_model

from .schedule_view import CannotHaveError, Made, ScheduleView


def hint_reversed(view: ScheduleView) -> Made:
    """S with each pair's source point mirrored in its model's list.

    Where that changes nothing, S with its hints towards untrained copies of their sources: what is
    left of them then is a start by some features, not by those that the source has learned.
    """
    if not any(stage.hints for stage in view.whole.stages):
        raise CannotHaveError("the schedule has no hints")
    mirrored = [
        replace(stage, hints=tuple(_mirrored(hint, view.points) for hint in stage.hints))
        for stage in view.whole.stages
    ]
    if mirrored != list(view.whole.stages):
        return mirrored, False
    return _towards_untrained(view), False


def _mirrored(hint: Hint, points: Callable[[str], Sequence[str]]) -> Hint:
    if not isinstance(hint.source, str):
        return replace(hint, source=1 - hint.source)
    listed = list(points(hint.stage))
    if hint.source not in listed:
        raise CannotHaveError(
            f"hint point {hint.stage}.{hint.source} is a module path, not one of its model's list"
        )
    return replace(hint, source=listed[-1 - listed.index(hint.source)])


def _towards_untrained(view: ScheduleView) -> list[Stage]:
    """S with its hint phases as stages of their own, whose sources have learned nothing.

    A phase and what follows it may be two stages, the second going on from the first one's
    weights: the result is the same to the byte. So the soft targets stay those of S's sources.
    """
    stages: list[Stage] = []
    for stage in view.whole.stages:
        if not stage.hints:
            stages.append(stage)
            continue
        if stage.hint_phase is None or stage.hint_phase.then == "stay":
            raise CannotHaveError(
                "each hint's source point is the middle of its model's list, so that mirroring "
                f"changes nothing; and the hints of stage {stage.name!r} stay beside its soft "
                "targets, which an untrained copy of their source would spoil too"
            )
        named = list(dict.fromkeys(hint.stage for hint in stage.hints))
        copies = {name: _untrained(view.by_name[name]) for name in named}
        stages += [copy for copy in copies.values() if copy not in stages]
        phase = replace(
            stage,
            name=f"{stage.name}_hinted",
            sources=tuple(SourceRef(copy.name) for copy in copies.values()),
            epochs=0,
            soft=None,
            merit=None,
            hints=tuple(replace(hint, stage=copies[hint.stage].name) for hint in stage.hints),
        )
        stages += [phase, replace(stage, init=phase.name, hints=(), hint_phase=None)]
    return stages


def _untrained(source: Stage) -> Stage:
    """The same model as it is before anything has taught it."""
    return Stage(
        name=f"{source.name}_untrained",
        path=source.path,
        model=read_model({n: value for n, value in source.model.items() if n != "weights"}),
        epochs=0,
        modality=source.modality,
        resources=source.resources,
    )
