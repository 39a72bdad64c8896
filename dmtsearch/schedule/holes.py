"""What a hole looks like, so that a schedule can say that it has some."""

from collections.abc import Iterator, Mapping
from typing import Any

from .places import Path

HOLE_KINDS = ("choice", "int", "float", "log")
_FREE = ("args",)  # blocks whose fields are somebody else's


def is_hole(value: Any, free: bool = False) -> bool:
    """Whether a value is a hole, well-formed or not: it has one of the words of holes.

    Args:
        value: Of a document.
        free: Within somebody else's arguments only what can be nothing but a hole counts, since
            a function may have an argument called `log`.
    """
    if not isinstance(value, dict):
        return False
    kinds = [field for field in value if field in HOLE_KINDS]
    if not free or not kinds:
        return bool(kinds)
    rest = set(value) - set(kinds) - {"as"}
    return len(kinds) == 1 and not rest and not isinstance(value[kinds[0]], str | int)


def find_holes(document: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The outermost holes of a document with their paths, in its order.

    Stages are never an alternative of each other, so `stages` itself is no hole.
    """
    for name, value in document.items():
        if name == "search":
            continue
        if name == "stages":
            for stage, fields in value.items() if isinstance(value, dict) else ():
                yield from find_below((name, stage), fields)
        else:
            yield from find_below((name,), value)


def find_below(path: Path, value: Any, free: bool = False) -> Iterator[tuple[Path, Any]]:
    """The outermost holes of a value at `path`."""
    if is_hole(value, free):
        yield path, value
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from find_below((*path, name), below, free or name in _FREE)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from find_below((*path, index), below, free)
