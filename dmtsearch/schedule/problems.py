"""The one sentence of a problem, made in one place: path, rule, value, nearest name, file:line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ScheduleError, nearest
from ..printable import printable
from .node import Node, join, split


class _NotGiven:
    """Stands for "no value to show"; None is a value."""


NOT_GIVEN = _NotGiven()
_MAX_SHOWN = 60


def show(value: Any) -> str:
    """A value as a user wrote it, cut where it is long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, Node):
        return show(value.plain())
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {show(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    else:
        text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def either(names: Sequence[str]) -> str:
    """Names as a choice: `a, b or c`."""
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@dataclass(frozen=True)
class Origin:
    """Where a schedule was written, so that later checks can report in the same form.

    Attributes:
        where: The file's path, or `<text>`.
        document: The document as nodes with lines, holes filled and copies made.
    """

    where: str
    document: Node

    def sentence(
        self,
        path: str,
        rule: str,
        value: Any = NOT_GIVEN,
        names: Iterable[str] | None = None,
    ) -> str:
        """One problem of what stands at `path`, as a sentence with file and line.

        Args:
            path: Document path; of an expanded copy, its declared stage's is found too.
            rule: What must hold, or what is not there (`no point 'blok2'`).
            value: Shown as `, got VALUE` where given.
            names: Valid names; the nearest to the value (or to the last quoted word of the
                rule) is offered.
        """
        shown, line = self.locate(path)
        text = rule if isinstance(value, _NotGiven) else f"{rule}, got {show(value)}"
        if names is not None:
            quoted = rule.split("'")
            wanted = quoted[-2] if isinstance(value, _NotGiven) and len(quoted) > 2 else value
            text += nearest(str(wanted), names)
        at = f"{self.where}:{line}" if line else self.where
        return printable(f"{shown}: {text}  ({at})" if shown else f"{text}  ({at})")

    def locate(self, path: str) -> tuple[str, int | None]:
        """The path as the document has it, and the line; of what is missing, its block's line."""
        steps = split(path)
        found, used = self._reach(steps)
        if len(steps) > 2 and steps[0] == "stages" and used < len(steps):
            inherited, reached = self._reach(["defaults", *steps[2:]])
            if reached == len(steps) - 1:
                return inherited.path, inherited.line
        shown = found.path
        for step in steps[used:]:
            shown = join(shown, step)
        return shown, found.line

    def _reach(self, steps: list[str | int]) -> tuple[Node, int]:
        node = self.document
        for used, step in enumerate(steps):
            below: Node | None = None
            if isinstance(step, int):
                below = node.items[step] if step < len(node.items) else None
            else:
                below = node.fields.get(step)
            if below is None:
                return node, used
            node = below
        return node, len(steps)


@dataclass
class Report:
    """Problems gathered while a document is checked; each is told once.

    Attributes:
        where: The file's path.
        problems, warnings: Finished sentences.
        off: Drawn fields that switch off what is not there (`merit: none` without a soft loss), as
            (stage, field): they are left as they stand.
        dropped: Fields made idle by what a hole was filled with, as (stage, field, ...): they
            are not wrong, and are left out of the filled schedule.
    """

    where: str
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dropped: list[tuple[str, ...]] = field(default_factory=list)
    off: list[tuple[str, ...]] = field(default_factory=list)

    def add(
        self,
        at: Node,
        rule: str,
        value: Any = NOT_GIVEN,
        names: Iterable[str] | None = None,
        *,
        field: str | int | None = None,
    ) -> None:
        """Note a problem of the node `at`, or of its `field` (which may be missing)."""
        sentence = self._sentence(at, rule, value, names, field)
        if sentence not in self.problems:
            self.problems.append(sentence)

    def warn(self, at: Node, rule: str) -> None:
        """Note what is allowed but should be known."""
        sentence = self._sentence(at, rule, NOT_GIVEN, None, None)
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _sentence(
        self, at: Node, rule: str, value: Any, names: Iterable[str] | None, step: str | int | None
    ) -> str:
        path = at.path if step is None else join(at.path, step)
        alone = Node(None, path, at.line)
        return _At(self.where, alone).sentence(path, rule, value, names)

    def finish(self) -> None:
        """Raise one ScheduleError with all problems, in the order of their lines, if any."""
        if self.problems:
            raise ScheduleError(self.where, sorted(self.problems, key=_line_of))


_LINE = re.compile(r":(\d+)\)$")


def _line_of(sentence: str) -> int:
    """The line that a problem names at its end; those without one come first."""
    found = _LINE.search(sentence)
    return int(found[1]) if found else 0


class _At(Origin):
    """An origin of a single place, whose path is already known."""

    def locate(self, path: str) -> tuple[str, int | None]:
        return path, self.document.line
