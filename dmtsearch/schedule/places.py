"""Where the values of a document stand: the line of each path, whatever a document goes through.

A document is plain data; where its values were written is kept beside it. When defaults are
inherited, repeats written out and holes filled, lines are looked up, not copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

Path = tuple[str | int, ...]
"""Steps to a value: names of fields, places in lists from 0."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STEP = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|([^.\[\]]+)")


def join(path: str, step: str | int) -> str:
    """Return the text of a path with one more step."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    shown = step if _PLAIN_KEY.fullmatch(step) else f"[{step}]"
    return f"{path}.{shown}" if path and not shown.startswith("[") else f"{path}{shown}"


def show_path(steps: Iterable[str | int], under: str = "") -> str:
    """Return a path as text: `stages.student.hints[0].at`."""
    for step in steps:
        under = join(under, step)
    return under


def split(path: str) -> Path:
    """Return the steps of a path: `hints[0].at` is ("hints", 0, "at")."""
    found = _STEP.findall(path)
    return tuple(int(index) if index else label or name for index, label, name in found)


def get(value: Any, path: Iterable[str | int], default: Any = None) -> Any:
    """Return the plain value at `path`, or `default` where there is none."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return default
        elif not isinstance(value, dict) or step not in value:
            return default
        value = value[step]
    return value


def put(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of `value` with `new` at `path`; what is not on the way is shared."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [put(item, rest, new) if i == step else item for i, item in enumerate(value)]
    return {**value, step: put(value.get(step), rest, new)}


def without(value: Any, path: Path) -> Any:
    """Return a copy of `value` without the field at `path`.

    An item of a list stays: a list with a gap in its numbering would be another list.
    """
    step, rest = path[0], path[1:]
    if get(value, (step,), _NOTHING) is _NOTHING or (not rest and isinstance(step, int)):
        return value
    if rest:
        return put(value, (step,), without(value[step], rest))
    return {name: below for name, below in value.items() if name != step}


_NOTHING = object()


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each value with its path, in the order of the document."""
    waiting = [(path, value)]
    while waiting:
        here, found = waiting.pop()
        yield here, found
        if isinstance(found, dict):
            waiting += [((*here, name), below) for name, below in reversed(found.items())]
        elif isinstance(found, list):
            last = len(found) - 1
            waiting += [((*here, last - i), below) for i, below in enumerate(reversed(found))]


class Place(NamedTuple):
    """Where a value was written.

    Attributes:
        path: As a reader is shown it; within an alternative with its label: `hints[any][0].at`.
        line: In the file, from 1; None where no file is behind it.
    """

    path: str
    line: int | None


@dataclass(frozen=True)
class Filled:
    """What stands in a hole, or is put in by a repeat.

    Attributes:
        path: As a reader is shown it.
        written: Where it was written in the document with holes.
        hole: Name of the hole, where there is one.
    """

    path: str
    written: Path
    hole: str | None = None


@dataclass(frozen=True)
class Lines:
    """The lines of a document's values.

    Attributes:
        where: The file's path, or `<text>`.
        lines: By path, in the document as it was written.
        filled: What was drawn in place of what was written, by its path.
        declared: By the name of a copy: the stage with `repeat` that it is of.
    """

    where: str
    lines: Mapping[Path, int | None]
    filled: Mapping[Path, Filled] = field(default_factory=dict)
    declared: Mapping[str, str] = field(default_factory=dict)

    def is_drawn(self, path: Path) -> bool:
        """Whether a search, not the user, put this very value here."""
        return path in self.filled or (bool(self.declared) and self._declared(path) in self.filled)

    def _declared(self, path: Path) -> Path:
        """The path in the stage of which this one is a copy."""
        copied = len(path) > 1 and path[0] == "stages" and path[1] in self.declared
        if copied and path[:2] not in self.lines:  # else another stage has a copy's name
            return ("stages", self.declared[str(path[1])], *path[2:])
        return path

    def find(self, path: Path) -> Place | None:
        """Return where the value at `path` was written; None where it was not."""
        for end in range(len(path), 0, -1):
            found = self.filled.get(path[:end])
            if found is not None:
                written = (*found.written, *path[end:])
                known = written in self.lines
                return Place(show_path(path[end:], found.path), self.lines[written]) if (
                    known) else None  # fmt: skip
        declared = self._declared(path)
        if declared != path:
            return self.find(declared)
        return Place(show_path(path), self.lines[path]) if path in self.lines else None

    def locate(self, path: Path) -> Place:
        """Return where to look for `path`: itself, what is inherited, else its block."""
        in_stage = len(path) > 2 and path[0] == "stages"
        inherited = ("defaults", *path[2:])
        for end in range(len(path), -1, -1):
            found = self.find(path[:end])
            if found is None and in_stage and end > 2:
                found = self.find(inherited[: end - 1])
            if found is not None:
                return Place(show_path(path[end:], found.path), found.line)
        return Place(show_path(path), None)

    def placed(self, path: Path, value: Any) -> Lines:
        """The lines of a document in which `value`, which no file has, was put at `path`."""
        kept = {at: line for at, line in self.lines.items() if at[: len(path)] != path}
        for end in range(1, len(path)):
            kept.setdefault(path[:end], self.locate(path[:end]).line)
        new = dict.fromkeys((at for at, _ in walk(value, path)), None)
        filled = {at: one for at, one in self.filled.items() if at[: len(path)] != path}
        return replace(self, lines={**kept, **new}, filled=filled)
