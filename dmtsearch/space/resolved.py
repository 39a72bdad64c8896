"""A search space as a file again, with other values in it where a user gave them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..schedule.emit import emit
from ..schedule.node import Node, to_node
from ..schedule.override import place
from ..schedule.written import written
from .space import Space, read_space


def dump_space(space: Space, *, start_with: Sequence[str] | None = None) -> str:
    """Return `space` as YAML that stands alone: its name is in it.

    Args:
        space: To write.
        start_with: Other paths of the known schedules, where the file goes to another folder.
    """
    plain = space.document.plain()
    search = written(space.search)
    if start_with is not None and search.get("start_with"):
        search["start_with"] = list(start_with)
    head = {name: plain.pop(name) for name in ("dmtsearch",) if name in plain}
    return emit({**head, "name": space.name, "search": search, **plain})


def override_space(space: Space, changes: Mapping[str, Any]) -> Space:
    """Return `space` with other values, checked as if they stood in the file.

    Args:
        space: A loaded space.
        changes: By document path, as `dmtsearch.schedule.override` takes them. A value may be a
            hole, and may stand where there was one.

    Raises:
        ScheduleError: A path leads nowhere, or the space cannot be searched as changed.
    """
    return read_space(place(_document(space), changes, space.where), space.where)


def _document(space: Space) -> Node:
    document = space.document
    return document.with_fields({"search": to_node(written(space.search), "search")})
