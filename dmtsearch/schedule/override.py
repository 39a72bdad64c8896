"""Other values in a loaded schedule, by document path: what `--set PATH=VALUE` does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import ScheduleError, nearest
from .document import parse_value
from .load import check_document
from .node import Node, join, split, to_node
from .problems import Origin
from .schedule import Schedule
from .written import written


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
    where = schedule.origin.where
    document = _relined(to_node(written(schedule)), schedule.origin)
    return check_document(place(document, changes, where), where)


def place(document: Node, changes: Mapping[str, Any], where: str) -> Node:
    """Return a document with other values in it, not checked yet; arguments as for `override`.

    Raises:
        ScheduleError: A path leads nowhere, or a text is no YAML.
    """
    problems = []
    for path, value in changes.items():
        plain = parse_value(value, f"--set {path}") if isinstance(value, str) else value
        try:
            document = _placed(document, split(path), to_node(plain, path))
        except LookupError as error:
            problems.append(f"--set {path}: {error.args[0]}")
    if problems:
        raise ScheduleError(where, problems)
    return document


def _relined(node: Node, origin: Origin) -> Node:
    """Plain data with the lines on which it was written."""
    value: Any = node.value
    if isinstance(value, dict):
        value = {name: _relined(below, origin) for name, below in value.items()}
    elif isinstance(value, list):
        value = [_relined(below, origin) for below in value]
    return replace(node, value=value, line=origin.locate(node.path)[1])


def _placed(node: Node, steps: list[str | int], new: Node) -> Node:
    if not steps:
        return new
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(node.value, list) or step >= len(node.value):
            raise LookupError(f"there is no item {step} in {node.path or 'the document'}")
        items = list(node.value)
        items[step] = _placed(items[step], rest, new)
        return node.with_items(items)
    below = node.fields.get(step)
    if below is None and node.path == "stages":
        raise LookupError(f"no stage called {step!r}{nearest(step, node.fields)}")
    if below is None or not isinstance(below.value, dict | list):
        # A block that was not written, or was one word (`soft: none`), is opened.
        below = Node({} if rest else None, join(node.path, step), node.line)
    return node.with_fields({step: _placed(below, rest, new)})
