"""A schedule with another number of epochs at its delivered stage."""

from typing import Any

from .load import check_document
from .override import place
from .schedule import Schedule
from .unroll import unroll


def with_epochs(schedule: Schedule, epochs: int) -> Schedule:
    """Return `schedule` with so many `epochs` at its delivered stage; all else is as it was.

    Where the delivered stage is the last copy of a repeated one, the copies are written out.

    Raises:
        ScheduleError: The schedule cannot run as changed.
    """
    document, lines, name = schedule.document, schedule.lines, schedule.deliver or ""
    if name not in document["stages"]:
        document, lines = unroll(document, lines)
        document = {**document, "stages": {n: _once(s) for n, s in document["stages"].items()}}
    return check_document(*place(document, lines, {f"stages.{name}.epochs": epochs}))


def _once(stage: dict[str, Any]) -> dict[str, Any]:
    """A copy, which is not to be repeated again."""
    return {name: value for name, value in stage.items() if name not in ("repeat", "order")}
