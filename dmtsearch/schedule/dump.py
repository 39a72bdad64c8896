"""A schedule as a file."""

from .emit import emit
from .schedule import Schedule
from .written import written


def dump_schedule(schedule: Schedule) -> str:
    """Return `schedule` as YAML: what its author wrote, in the order of the grammar.

    Loading the text gives an equal schedule, and dumping that gives the same bytes. Comments and
    layout of the original are not kept.
    """
    return emit(written(schedule))
