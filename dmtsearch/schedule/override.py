"""Other values in a loaded schedule, by document path: what `--set PATH=VALUE` does."""

from collections.abc import Mapping
from typing import Any

from ..errors import ScheduleError, nearest
from .load import check_document
from .places import Lines, Path, show_path, split
from .schedule import Schedule
from .yaml import parse_value


def override(schedule: Schedule, changes: Mapping[str, Any]) -> Schedule:
    """Return `schedule` with other values, checked as if they stood in the file.

    Args:
        schedule: A loaded schedule.
        changes: Plain values by document path: `{"stages.student.epochs": 5}`. A text is read as
            YAML, as it would be in the file (`"5"` is 5, `"[16, 32]"` a list).

    Raises:
        ScheduleError: A path leads nowhere (to no stage, past the end of a list), or the schedule
            cannot run as changed.
    """
    return check_document(*place(schedule.document, schedule.lines, changes))


def place(
    document: dict[str, Any], lines: Lines, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], Lines]:
    """Return a document with other values in it, not checked yet, and its lines.

    Raises:
        ScheduleError: A path leads nowhere, or a text is no YAML.
    """
    problems = []
    for path, value in changes.items():
        plain = parse_value(value, f"--set {path}") if isinstance(value, str) else _listed(value)
        steps = split(path)
        try:
            document = _placed(document, steps, plain, ())
        except LookupError as error:
            problems.append(f"--set {path}: {error.args[0]}")
        else:
            lines = lines.placed(steps, plain)
    if problems:
        raise ScheduleError(lines.where, problems)
    return document, lines


def _listed(value: Any) -> Any:
    """Plain data with lists for tuples, and text for names."""
    if isinstance(value, Mapping):
        return {str(name): _listed(item) for name, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def _placed(value: Any, steps: Path, new: Any, at: Path) -> Any:
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or step >= len(value):
            raise LookupError(f"there is no item {step} in {show_path(at) or 'the document'}")
        items = list(value)
        items[step] = _placed(items[step], rest, new, (*at, step))
        return items
    fields = value if isinstance(value, dict) else {}
    below = fields.get(step)
    if below is None and at == ("stages",):
        raise LookupError(f"no stage called {step!r}{nearest(step, fields)}")
    if not isinstance(below, dict | list):
        below = {}  # a block that was not written, or was one word (`soft: none`), is opened
    return {**fields, step: _placed(below, rest, new, (*at, step))}
