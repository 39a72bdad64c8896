"""Reading one hole of a document: kind, alternatives or bounds, and all that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..schedule.emit import flow
from ..schedule.holes import HOLE_KINDS, is_hole
from ..schedule.node import Node
from ..schedule.problems import Report
from ..schedule.values import is_stage_name
from .hole import Value, identity, same
from .ranges import num_steps

MAX_VALUES = 10_000
MAX_ALTERNATIVES = 1_000
"""Each is tried in its place before a search begins; the values of a range are not."""
_MAX_LABEL = 40


@dataclass(frozen=True)
class Slot:
    """A well-formed hole as it stands in the document."""

    kind: str
    node: Node
    tie: str | None = None
    choices: tuple[Value, ...] = ()
    alternatives: tuple[Node, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None

    def alternative(self, value: object) -> Node:
        """The node of a choice's alternative."""
        places = zip(self.choices, self.alternatives, strict=True)
        return next(node for choice, node in places if same(choice, value))

    def shape(self) -> tuple[Any, ...]:
        """What tied holes must have in common."""
        choices = tuple(identity(choice) for choice in self.choices)
        return (self.kind, choices, self.low, self.high, self.step)


def read_slot(node: Node, report: Report) -> Slot | None:
    """Return the hole that stands at `node`; None, and problems in `report`, if malformed."""
    # Gathered apart: of a stage with copies the same problem is met, and reported, only once.
    found = Report(report.where)
    slot = _read(node, found)
    report.problems += [p for p in found.problems if p not in report.problems]
    return slot if not found.problems else None


def _read(node: Node, report: Report) -> Slot | None:
    kinds = [field for field in node.fields if field in HOLE_KINDS]
    if len(kinds) > 1:
        report.add(node, f"must be one kind of hole, got {' and '.join(kinds)}")
        return None
    for name, below in node.fields.items():
        if name not in (*HOLE_KINDS, "as"):
            report.add(below, f"no field {name!r} in a hole; a hole is {_FORMS[kinds[0]]}, "
                       "with or without as: NAME")  # fmt: skip
    tie = node.get("as")
    if tie is not None and not (isinstance(tie.value, str) and is_stage_name(tie.value)):
        report.add(tie, "must be a name: letters, digits, _ and -, a letter first", tie)
    value = node.fields[kinds[0]]
    slot = _choice(node, value, report) if kinds[0] == "choice" else None
    if kinds[0] != "choice":
        slot = _range(node, kinds[0], value, report)
    if slot is None:
        return None
    return replace(slot, tie=str(tie.value) if tie is not None else None)


_FORMS = {
    "choice": "{choice: [..]} or {choice: {label: value, ..}}",
    "int": "{int: [low, high]} or {int: [low, high, step]}",
    "float": "{float: [low, high]} or {float: [low, high, step]}",
    "log": "{log: [low, high]}",
}


def _choice(node: Node, value: Node, report: Report) -> Slot | None:
    if not isinstance(value.value, dict | list) or not value.value:
        report.add(value, "must be a list of alternatives, or alternatives by label", value)
        return None
    if len(value.value) > MAX_ALTERNATIVES:
        report.add(
            value,
            f"has {len(value.value):,} alternatives; at most {MAX_ALTERNATIVES:,}: write a range "
            "(int, float or log), or fewer",
        )
        return None
    if isinstance(value.value, dict):
        return Slot("choice", node, None, tuple(value.fields), tuple(value.fields.values()))
    labels: list[Value] = []
    known = set()
    for index, item in enumerate(value.items, start=1):
        label = _label(item, index)
        if item.value is None:
            report.add(item, "is empty; write a value, or `none` to switch a block off")
        elif identity(label) in known:
            report.add(item, "stands twice among the alternatives; keep one", item)
        known.add(identity(label))
        labels.append(label)
    return Slot("choice", node, None, tuple(labels), tuple(value.items))


def _label(item: Node, index: int) -> Value:
    """A scalar is its own label; a short list or block is written out; others are counted."""
    if isinstance(item.value, str | int | float):
        return item.value
    if any(is_hole(below) for below in item.walk()):
        return f"#{index}"
    text = flow(item.plain())
    return text if len(text) <= _MAX_LABEL else f"#{index}"


def _range(node: Node, kind: str, value: Node, report: Report) -> Slot | None:
    numbers: list[int | float] = []
    for item in value.items:
        number = item.value
        if isinstance(number, bool) or not isinstance(number, int | float):
            report.add(item, "must be a number", item)
        elif kind == "int" and not isinstance(number, int):
            report.add(item, "must be a whole number", item)
        else:
            numbers.append(number)
    most = 2 if kind == "log" else 3
    if not 2 <= len(value.items) <= most:
        report.add(value, f"must be {_FORMS[kind]}", value)
        return None
    if len(numbers) != len(value.items):
        return None
    if kind != "int":
        numbers = [float(number) for number in numbers]
    low, high = numbers[0], numbers[1]
    step = numbers[2] if len(numbers) == 3 else 1 if kind == "int" else None
    if low > high:
        report.add(value, f"must have low <= high, got {low:g} > {high:g}")
    elif kind == "log" and low <= 0:
        report.add(value, "must be above 0 on a log scale", value)
    elif step is not None and step <= 0:
        report.add(value.items[2], "a step must be above 0", value.items[2])
    elif step is not None:
        _check_step(value, low, high, step, report)
    return Slot(kind, node, None, (), (), low, high, step)


def _check_step(
    value: Node, low: int | float, high: int | float, step: int | float, report: Report
) -> None:
    steps = num_steps(low, high, step)
    if steps is None:
        report.add(value, f"the step {step:g} must divide the range from {low:g} to {high:g}")
    elif steps >= MAX_VALUES:
        report.add(value, f"has {steps + 1:,} values; at most {MAX_VALUES:,}: use a larger step")
