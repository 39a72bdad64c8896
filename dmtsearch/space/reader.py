"""Reading a document's holes once: their names, their conditions, and all that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from dmtsearch.schedule.emit import flow
from dmtsearch.schedule.holes import HOLE_KINDS, find_below, is_hole
from dmtsearch.schedule.places import Lines, Path, get, join, put, show_path, walk, without
from dmtsearch.schedule.problems import ProblemReport, show
from dmtsearch.schedule.stage import MAX_COPIES
from dmtsearch.schedule.values import is_stage_name

from .hole import Condition, Hole, Value, default_of, identity, num_steps
from .template import SHARED, Order, Slot, Template

MAX_VALUES = 10_000
MAX_ALTERNATIVES = 1_000
"""Each is tried in its place before a search begins; the values of a range are not."""
_MAX_LABEL = 40
_NO_HOLES = ("dmtsearch", "name", "seed", "data", "deliver")


def read_template(document: dict[str, Any], lines: Lines, report: ProblemReport) -> Template:
    """Return the holes of a document; what is wrong with them goes to `report`."""
    broken: list[Path] = []
    places: list[Path] = [(name,) for name in _NO_HOLES]
    # A seed is a replicate, never a search dimension: not in a stage either.
    stages = document.get("stages")
    places += [("stages", name, "seed") for name in (stages if isinstance(stages, dict) else ())]
    places += [("defaults", "seed")]
    for place in places:
        for path, hole in list(find_below(place, get(document, place))):
            report.add(path, f"{place[-1]} holds no holes; write one value", hole)
            steps = tuple(takewhile(lambda step: isinstance(step, str), path))
            document = without(document, steps)
            broken.append(steps)
    reader = _Reader(Template(document, lines, broken=broken), report)
    reader.read()
    return reader.template


def _left_out(document: dict[str, Any], steps: Path) -> dict[str, Any]:
    """The document without a malformed hole; a stage that is one keeps its name."""
    if len(steps) != 2 or steps[0] != "stages":
        left: dict[str, Any] = without(document, steps)
    else:
        left = put(document, steps, {})
    return left


@dataclass(frozen=True)
class _Place:
    """Where the reader is.

    Attributes:
        at: Steps in the document.
        name: What a hole here is called.
        path: Document path, with the labels of alternatives.
        field: Steps to the innermost field that is no part of a list or alternative.
        when: Conditions under which it is active.
        free: Whether this is within somebody else's arguments.
    """

    at: Path
    name: str
    path: str
    field: Path
    when: tuple[Condition, ...] = ()
    free: bool = False
    plain: bool = True  # neither in a list nor in an alternative

    def below(self, step: str | int) -> _Place:
        plain = self.plain and isinstance(step, str)
        return _Place(
            (*self.at, step),
            join(self.name, step),
            join(self.path, step),
            (*self.field, step) if plain else self.field,
            self.when,
            self.free or step == "args",
            plain,
        )

    def within(self, hole: str, value: Value, at: Path) -> _Place:
        label = f"[{value}]"
        when = (Condition(hole, (value,)),)
        name, path = self.name + label, self.path + label
        return replace(self, at=at, name=name, path=path, when=when, plain=False)


class _Reader:
    """Walks a document once and writes down every hole."""

    def __init__(self, template: Template, report: ProblemReport) -> None:
        self.template, self.report = template, report
        self.ties: dict[str, Slot] = {}
        self.when: dict[str, dict[Condition, None]] = {}  # each once, in order; empty for always

    def read(self) -> None:
        document = self.template.document
        if "defaults" in document:
            at: Path = ("defaults",)
            self.node(document["defaults"], _Place(at, "defaults", "defaults", at))
        stages = document.get("stages")
        for name, stage in stages.items() if isinstance(stages, dict) else ():
            at = ("stages", name)
            place = _Place(at, name, join("stages", name), at)
            if is_hole(stage):
                self.hole(stage, place)
                self.refuse_inner_repeats(stage, place)
            elif isinstance(stage, dict) and "repeat" in stage:
                self.repeated(stage, name, place)
            else:
                self.fields(stage, place)
        for steps in self.template.broken:
            self.template.document = _left_out(self.template.document, steps)
        self._sort_by_dependence()

    def fields(self, value: Any, place: _Place, *, shared: bool | None = None) -> None:
        """The fields of a block; of a stage with copies, those that are shared or not."""
        for name, below in value.items() if isinstance(value, dict) else ():
            if isinstance(below, dict | list) and (shared is None or (name in SHARED) == shared):
                self.node(below, place.below(name))

    def repeated(self, stage: dict[str, Any], name: str, place: _Place) -> None:
        """Copies: holes in shared fields are one, the others one per copy, up to the most."""
        repeat = stage["repeat"]
        self.fields(stage, place, shared=True)
        if (*place.field, "repeat") in self.template.broken:
            self.fields(stage, place, shared=False)  # as one stage, `repeat` being left out
            return
        at = (*place.at, "repeat")
        slot = self.template.slots.get(at)
        numbers = self._numbers(repeat, at, slot)
        most = max(numbers.values(), default=0)
        for copy in range(1, most + 1):
            when: tuple[Condition, ...] = ()
            if slot is not None:
                enough = tuple(value for value, number in numbers.items() if number >= copy)
                when = (Condition(slot.tie or join(name, "repeat"), enough),)
            self.fields(stage, replace(place, name=f"{name}.{copy}", when=when), shared=False)
        self._order(stage, name, most)

    def node(self, value: Any, place: _Place) -> None:
        if is_hole(value, place.free):
            self.hole(value, place)
            return
        self.fields(value, place)
        for index, below in enumerate(value if isinstance(value, list) else ()):
            if isinstance(below, dict | list):
                self.node(below, place.below(index))

    def hole(self, value: dict[str, Any], place: _Place) -> None:
        slot = self.template.slots.get(place.at) or read_slot(value, place.at, self.report)
        if slot is None:
            self.template.broken.append(place.field)
            return
        known = slot.tie or place.name
        if not self._add(slot, known, place):
            self.template.broken.append(place.field)
            return
        self.template.note(slot)
        for index, label in enumerate(slot.choices):
            if isinstance(slot.alternatives[index], dict | list):
                inside = place.within(known, label, slot.places[index])
                self.node(slot.alternatives[index], inside)

    def _numbers(self, repeat: Any, at: Path, slot: Slot | None) -> dict[Value, int]:
        """By the value of `repeat` (of its hole): how many copies it makes."""
        if not is_hole(repeat):
            return {0: self._number(repeat, at)}
        if slot is None:
            return {}
        if slot.kind == "choice":
            numbers = map(self._number, slot.alternatives, slot.places)
            return dict(zip(slot.choices, numbers, strict=True))
        low, high = self._number(slot.low, at), self._number(slot.high, at)
        step = slot.step if isinstance(slot.step, int) else 1
        return {number: number for number in range(low, high + 1, step)}

    def _number(self, number: Any, at: Path) -> int:
        if isinstance(number, bool) or not isinstance(number, int):
            self.report.add(at, "must be a whole number, or a hole of such", number)
        elif not 0 <= number <= MAX_COPIES:
            self.report.add(at, f"must be from 0 to {MAX_COPIES}", number)
        else:
            return number
        return 0

    def _add(self, slot: Slot, name: str, place: _Place) -> bool:
        """Write a hole down; False where it is tied to one that holds something else."""
        holes, when = self.template.holes, place.when
        first = self.ties.get(name)
        line = self.template.lines.lines.get(slot.at)
        if slot.tie and first is not None and first.shape() != slot.shape():
            self.report.add(
                slot.at,
                f"holes named {name!r} must hold the same; the first, on line "
                f"{self.template.lines.lines.get(first.at)}, is {show(first.written)}",
                slot.written,
            )
            return False
        if name in holes:
            # Active wherever one of the tied holes is; always, if one of them always is.
            known = self.when[name]
            if known and when:
                known |= dict.fromkeys(when)
            else:
                known.clear()
            return True
        self.when[name] = dict.fromkeys(when)
        if slot.tie:
            self.ties[name] = slot
        made = Hole(
            name=name,
            kind=slot.kind,
            choices=slot.choices,
            low=slot.low,
            high=slot.high,
            step=slot.step,
            path=place.path,
            line=line,
        )
        holes[name] = replace(made, default=default_of(made))
        return True

    def _order(self, stage: dict[str, Any], name: str, most: int) -> None:
        if "order" not in stage:
            return
        order, at = stage["order"], ("stages", name, "order")
        if not isinstance(order, dict) or len(order) != 1:
            self.report.add(at, "must name one field: {model.size: decreasing}", order)
            self.template.broken.append(at)
            return
        path, direction = next(iter(order.items()))
        here: Path = (*at, path)
        if direction not in ("increasing", "decreasing"):
            self.report.add(here, "must be increasing or decreasing", direction)
            return
        names = tuple(f"{name}.{copy}.{path}" for copy in range(1, most + 1))
        holes = [self.template.holes[n] for n in names if n in self.template.holes]
        if len(holes) < len(names) or not all(_is_numeric(hole) for hole in holes):
            rule = f"{path!r} must be a hole of numbers in this stage, one per copy"
            self.report.add(here, rule, names=self._candidates(name))
            return
        if holes and not holes[0].is_continuous and len(holes[0]) < most:
            rule = f"wants {most} unlike values, and {names[0]} has {len(holes[0])}"
            self.report.add(at, rule)
            return
        line = self.template.lines.lines.get(here)
        self.template.orders.append(
            Order(name, names, direction == "decreasing", show_path(here), line)
        )

    def _candidates(self, name: str) -> list[str]:
        start = f"{name}.1."
        found = self.template.holes.values()
        return [h.name.removeprefix(start) for h in found if h.name.startswith(start)]

    def refuse_inner_repeats(self, stage: Any, place: _Place) -> None:
        for path, value in walk(stage, place.at):
            if path != place.at and isinstance(value, dict) and "repeat" in value:
                rule = (
                    "cannot stand in an alternative; write `repeat` in the stage itself, with a "
                    "hole"
                )
                self.report.add((*path, "repeat"), rule)

    def _sort_by_dependence(self) -> None:
        """Holes in the order of the document, but each after those that it depends on."""
        holes, placed = self.template.holes, dict[str, Hole]()

        def place(name: str) -> None:
            if name in placed:
                return
            for condition in self.when[name]:
                place(condition.hole)
            placed[name] = replace(holes[name], conditions=tuple(self.when[name]))

        for name in holes:
            place(name)
        self.template.holes = placed


def _is_numeric(hole: Hole) -> bool:
    values = hole.choices if hole.kind == "choice" else ()
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


# -- one hole -----------------------------------------------------------------------------------


def read_slot(value: dict[str, Any], at: Path, report: ProblemReport) -> Slot | None:
    """Return the hole at `at`; None, and problems in `report`, if malformed."""
    # Gathered apart: of a stage with copies the same problem is met, and reported, only once.
    found = ProblemReport(report.lines)
    slot = _read(value, at, found)
    for problem in found.problems:
        report.add_sentence(problem)
    return slot if not found.problems else None


def _read(hole: dict[str, Any], at: Path, report: ProblemReport) -> Slot | None:
    kinds = [field for field in hole if field in HOLE_KINDS]
    if len(kinds) > 1:
        report.add(at, f"must be one kind of hole, got {' and '.join(kinds)}")
        return None
    for name in hole:
        if name not in (*HOLE_KINDS, "as"):
            rule = f"no field {name!r} in a hole; a hole is {_FORMS[kinds[0]]}, with or without "
            report.add((*at, name), rule + "as: NAME")
    tie = hole.get("as")
    if "as" in hole and not (isinstance(tie, str) and is_stage_name(tie)):
        rule = "must be a name: letters, digits, _ and -, a letter first"
        report.add((*at, "as"), rule, tie)
    value, inside = hole[kinds[0]], (*at, kinds[0])
    if kinds[0] == "choice":
        slot = _choice(value, inside, report)
    else:
        slot = _range(kinds[0], value, inside, report)
    if slot is None:
        return None
    return replace(slot, at=at, written=hole, tie=str(tie) if tie is not None else None)


_FORMS = {
    "choice": "{choice: [..]} or {choice: {label: value, ..}}",
    "int": "{int: [low, high]} or {int: [low, high, step]}",
    "float": "{float: [low, high]} or {float: [low, high, step]}",
    "log": "{log: [low, high]}",
}


def _choice(value: Any, at: Path, report: ProblemReport) -> Slot | None:
    if not isinstance(value, dict | list) or not value:
        report.add(at, "must be a list of alternatives, or alternatives by label", value)
        return None
    if len(value) > MAX_ALTERNATIVES:
        rule = f"has {len(value):,} alternatives; at most {MAX_ALTERNATIVES:,}: write a range "
        report.add(at, rule + "(int, float or log), or fewer")
        return None
    places = tuple(
        (*at, step) for step in (value if isinstance(value, dict) else range(len(value)))
    )
    if isinstance(value, dict):
        return Slot("choice", choices=tuple(value), alternatives=tuple(value.values()),
                    places=places)  # fmt: skip
    labels: list[Value] = []
    known = set()
    for place, (index, item) in zip(places, enumerate(value, start=1), strict=True):
        label = _label(item, index)
        if item is None:
            report.add(place, "is empty; write a value, or `none` to switch a block off")
        elif identity(label) in known:
            report.add(place, "stands twice among the alternatives; keep one", item)
        known.add(identity(label))
        labels.append(label)
    return Slot("choice", choices=tuple(labels), alternatives=tuple(value), places=places)


def _label(item: Any, index: int) -> Value:
    """A scalar is its own label; a short list or block is written out; others are counted."""
    if isinstance(item, str | int | float):
        return item
    if any(is_hole(below) for _, below in walk(item)):
        return f"#{index}"
    text = flow(item)
    return text if len(text) <= _MAX_LABEL else f"#{index}"


def _range(kind: str, value: Any, at: Path, report: ProblemReport) -> Slot | None:
    items: Sequence[Any] = value if isinstance(value, list) else []
    numbers: list[int | float] = []
    for index, number in enumerate(items):
        if isinstance(number, bool) or not isinstance(number, int | float):
            report.add((*at, index), "must be a number", number)
        elif kind == "int" and not isinstance(number, int):
            report.add((*at, index), "must be a whole number", number)
        else:
            numbers.append(number)
    most = 2 if kind == "log" else 3
    if not 2 <= len(items) <= most:
        report.add(at, f"must be {_FORMS[kind]}", value)
        return None
    if len(numbers) != len(items):
        return None
    if kind != "int":
        numbers = [float(number) for number in numbers]
    low, high = numbers[0], numbers[1]
    step = numbers[2] if len(numbers) == 3 else 1 if kind == "int" else None
    if low > high:
        report.add(at, f"must have low <= high, got {low:g} > {high:g}")
    elif kind == "log" and low <= 0:
        report.add(at, "must be above 0 on a log scale", value)
    elif step is not None and step <= 0:
        report.add((*at, 2), "a step must be above 0", items[2])
    elif step is not None:
        _check_step(at, low, high, step, report)
    return Slot(kind, low=low, high=high, step=step)


def _check_step(
    at: Path, low: int | float, high: int | float, step: int | float, report: ProblemReport
) -> None:
    steps = num_steps(low, high, step)
    if steps is None:
        report.add(at, f"the step {step:g} must divide the range from {low:g} to {high:g}")
    elif steps >= MAX_VALUES:
        report.add(at, f"has {steps + 1:,} values; at most {MAX_VALUES:,}: use a larger step")
