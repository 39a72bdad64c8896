"""The one sentence of a problem, made in one place: path, rule, value, nearest name, file:line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ScheduleError, nearest
from ..human import printable
from .places import Lines, Path, Place


class _NotGiven:
    """Stands for "no value to show"; None is a value."""


NOT_GIVEN = _NotGiven()
_MAX_SHOWN = 60


def show(value: Any) -> str:
    """A value as a user wrote it, cut where it is long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
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


def sentence(
    where: str,
    place: Place,
    rule: str,
    value: Any = NOT_GIVEN,
    names: Iterable[str] | None = None,
) -> str:
    """One problem as a sentence with file and line.

    Args:
        where: The file's path, or `<text>`.
        place: What the problem is about.
        rule: What must hold, or what is not there (`no point 'blok2'`).
        value: Shown as `, got VALUE` where given.
        names: Valid names; the nearest to the value (or to the last quoted word of the rule) is
            offered.
    """
    text = rule if isinstance(value, _NotGiven) else f"{rule}, got {show(value)}"
    if names is not None:
        quoted = rule.split("'")
        wanted = quoted[-2] if isinstance(value, _NotGiven) and len(quoted) > 2 else value
        text += nearest(str(wanted), names)
    at = f"{where}:{place.line}" if place.line else where
    return printable(f"{place.path}: {text}  ({at})" if place.path else f"{text}  ({at})")


@dataclass
class ProblemReport:
    """Problems gathered while a document is checked; each is reported once.

    Attributes:
        lines: Where the document's values stand.
        problems, warnings: Finished sentences.
    """

    lines: Lines
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """The file's path."""
        return self.lines.where

    def add(
        self,
        path: Path | Place,
        rule: str,
        value: Any = NOT_GIVEN,
        names: Iterable[str] | None = None,
    ) -> None:
        """Note a problem of what stands, or is missing, at `path`."""
        self.add_sentence(sentence(self.where, self._place(path), rule, value, names))

    def _place(self, path: Path | Place) -> Place:
        return path if isinstance(path, Place) else self.lines.locate(path)

    def add_sentence(self, problem: str) -> None:
        """Note a finished sentence, once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def warn(self, path: Path | Place, rule: str) -> None:
        """Note what is allowed but should be known."""
        warning = sentence(self.where, self._place(path), rule)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def finish(self) -> None:
        """Raise one ScheduleError with all problems, in the order of their lines, if any."""
        if self.problems:
            raise ScheduleError(self.where, sorted(self.problems, key=_line_of))


_LINE = re.compile(r":(\d+)\)$")


def _line_of(problem: str) -> int:
    """The line that a problem names at its end; those without one come first."""
    found = _LINE.search(problem)
    return int(found[1]) if found else 0
