"""Every alternative of every hole in its place: tried in the anchor, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..errors import ScheduleError
from ..schedule.node import Node
from ..schedule.problems import Report
from ..schedule.schedule import Schedule
from .choosing import anchor_values, complete, draw_values
from .hole import Hole, Value
from .template import Template

Fill = Callable[[Template, Mapping[str, Value], Report], Schedule | None]
OTHER_TRIES = 20
ALL_TRIES = 2_000
"""Of all alternatives together, so that a long choice is checked in seconds."""


def check_alternatives(template: Template, report: Report, fill: Fill) -> None:
    """Report what is wrong with the anchor, and with each alternative or bound put into it.

    An alternative that does not go with the anchor's other values, but with others, is only
    warned about: a search draws again where values do not go together.
    """
    _try(template, anchor_values(template), report, fill)
    anchored = list(report.problems)
    num_values = sum(len(_extremes(hole)) for hole in template.holes.values())
    tries = max(1, min(OTHER_TRIES, ALL_TRIES // max(1, num_values)))
    for hole in template.holes.values():
        for value in _extremes(hole):
            found = Report(report.where)
            _try(template, _with(template, hole, value), found, fill)
            new = [problem for problem in found.problems if problem not in anchored]
            if not new:
                continue
            if not anchored and _goes_with_others(template, hole, value, report, fill, tries):
                at = Node(None, hole.path, hole.line)
                report.warn(
                    at,
                    f"{value} does not go with every value of the other holes (such draws are "
                    f"drawn again): {new[0]}",
                )
                continue
            report.problems += [p for p in new if p not in report.problems]


def _try(template: Template, values: Mapping[str, Value], report: Report, fill: Fill) -> None:
    try:
        fill(template, values, report)
    except ScheduleError as error:
        report.problems += [p for p in error.problems if p not in report.problems]


def _extremes(hole: Hole) -> tuple[Value, ...]:
    """All alternatives of a choice; the bounds of a range, between which all is alike."""
    if hole.kind == "choice":
        return hole.choices
    if hole.low is None or hole.high is None:
        raise AssertionError("a range has bounds")
    return (hole.low, hole.high)


def _with(template: Template, hole: Hole, value: Value) -> dict[str, Value]:
    """The anchor with `value` in `hole`, and in the holes above it what makes it asked for."""
    return complete(template, {**_above(template, hole), hole.name: value})


def _above(template: Template, hole: Hole) -> dict[str, Value]:
    above: dict[str, Value] = {}
    condition = hole.condition
    while condition is not None:
        above[condition.hole] = condition.values[0]
        condition = template.holes[condition.hole].condition
    return above


def _goes_with_others(
    template: Template, hole: Hole, value: Value, report: Report, fill: Fill, tries: int
) -> bool:
    needed = {**_above(template, hole), hole.name: value}
    for seed in range(tries):
        drawn = draw_values(template, seed)
        found = Report(report.where)
        _try(template, complete(template, {**drawn, **needed}), found, fill)
        if not found.problems:
            return True
    return False
