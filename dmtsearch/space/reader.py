"""Reading a document's holes: their names, their conditions, and all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile

from ..schedule.holes import find_holes, is_exact_hole, is_hole
from ..schedule.load import without
from ..schedule.node import Node, join, split, to_node
from ..schedule.problems import Report, show
from ..schedule.spec import MAX_COPIES
from .hole import Condition, Hole, Value, default_of
from .slot import Slot, read_slot
from .template import SHARED, Order, Template

_NO_HOLES = ("dmtsearch", "name", "seed", "data", "deliver")


def read_template(document: Node, report: Report) -> Template:
    """Return the holes of a document; what is wrong with them goes to `report`."""
    broken: list[tuple[str, ...]] = []
    places: list[tuple[str, ...]] = [(name,) for name in _NO_HOLES]
    # A seed is a replicate, never a search dimension: not in a stage either.
    stages = document.get("stages")
    places += [("stages", name, "seed") for name in (stages.fields if stages is not None else ())]
    places += [("defaults", "seed")]
    for place in places:
        below = document.get(*place)
        name = place[-1]
        for hole in find_holes(Node({name: below})) if below is not None else ():
            report.add(hole, f"{name} holds no holes; write one value", hole)
            steps = _names(hole.path)
            document = without(document, steps)
            broken.append(steps)
    reader = _Reader(Template(document, broken=broken), report)
    reader.read()
    return reader.template


def _names(path: str) -> tuple[str, ...]:
    """The steps of a path as far as they are names, not places in a list."""
    steps = takewhile(lambda step: isinstance(step, str), split(path))
    return tuple(str(step) for step in steps)


def _left_out(document: Node, steps: tuple[str, ...]) -> Node:
    """The document without a malformed hole; a stage that is one keeps its name."""
    if len(steps) != 2 or steps[0] != "stages":
        return without(document, steps)
    stages = document.fields["stages"]
    empty = replace(stages.fields[steps[1]], value={})
    return document.with_fields({"stages": stages.with_fields({steps[1]: empty})})


@dataclass(frozen=True)
class _Place:
    """Where the reader is.

    Attributes:
        name: What a hole here is called.
        path: Document path, with the labels of alternatives.
        field: Steps to the innermost field that is no part of a list or alternative.
        when: Conditions under which it is asked for.
        free: Whether this is within somebody else's arguments.
    """

    name: str
    path: str
    field: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    free: bool = False
    plain: bool = True  # neither in a list nor in an alternative

    def below(self, step: str | int) -> _Place:
        plain = self.plain and isinstance(step, str)
        return replace(
            self,
            name=join(self.name, step),
            path=join(self.path, step),
            field=(*self.field, str(step)) if plain else self.field,
            plain=plain,
            free=self.free or step == "args",
        )

    def within(self, hole: str, value: Value) -> _Place:
        label = f"[{value}]"
        when = (Condition(hole, (value,)),)
        name, path = self.name + label, self.path + label
        return replace(self, name=name, path=path, when=when, plain=False)


class _Reader:
    """Walks a document once and writes down every hole."""

    def __init__(self, template: Template, report: Report) -> None:
        self.template, self.report = template, report
        self.ties: dict[str, Slot] = {}

    def read(self) -> None:
        document = self.template.document
        defaults, stages = document.get("defaults"), document.get("stages")
        if defaults is not None:
            self.node(defaults, _Place("defaults", "defaults", ("defaults",)))
        for name, stage in stages.fields.items() if stages is not None else ():
            place = _Place(name, join("stages", name), ("stages", name))
            if is_hole(stage):
                self.hole(stage, place)
                self.refuse_inner_repeats(stage)
            elif "repeat" in stage.fields:
                self.repeated(stage, name, place)
            else:
                self.fields(stage, place)
        for steps in self.template.broken:
            self.template.document = _left_out(self.template.document, steps)
        self._sort_by_dependence()

    def fields(self, node: Node, place: _Place, *, shared: bool | None = None) -> None:
        """The fields of a block; of a stage with copies, those that are shared or not."""
        for name, below in node.fields.items():
            if shared is None or (name in SHARED) == shared:
                self.node(below, place.below(name))

    def repeated(self, stage: Node, name: str, place: _Place) -> None:
        """Copies: holes in shared fields are one, the others one per copy, up to the most."""
        repeat = stage.fields["repeat"]
        self.fields(stage, place, shared=True)
        if (*place.field, "repeat") in self.template.broken:
            self.fields(stage, place, shared=False)  # as one stage, `repeat` being left out
            return
        numbers = self._numbers(repeat)
        most = max(numbers.values(), default=0)
        slot = read_slot(repeat, Report("")) if is_hole(repeat) else None
        for copy in range(1, most + 1):
            when: tuple[Condition, ...] = ()
            if slot is not None:
                enough = tuple(value for value, number in numbers.items() if number >= copy)
                when = (Condition(slot.tie or join(name, "repeat"), enough),)
            at = replace(place, name=f"{name}.{copy}", when=when)
            self.fields(stage, at, shared=False)
        self._order(stage, name, most)

    def node(self, node: Node, place: _Place) -> None:
        if is_exact_hole(node) if place.free else is_hole(node):
            self.hole(node, place)
            return
        self.fields(node, place)
        for index, below in enumerate(node.items):
            self.node(below, place.below(index))

    def hole(self, node: Node, place: _Place) -> None:
        slot = read_slot(node, self.report)
        if slot is None:
            self.template.broken.append(place.field)
            return
        known = slot.tie or place.name
        if not self._add(slot, known, place):
            self.template.broken.append(place.field)
            return
        for value, inner in zip(slot.choices, slot.alternatives, strict=True):
            self.node(inner, place.within(known, value))

    def _numbers(self, repeat: Node) -> dict[Value, int]:
        """By the value of `repeat` (of its hole): how many copies it makes."""
        if not is_hole(repeat):
            return {0: self._number(repeat)}
        slot = read_slot(repeat, Report(""))
        if slot is None:
            return {}
        if slot.kind == "choice":
            places = zip(slot.choices, slot.alternatives, strict=True)
            return {value: self._number(node) for value, node in places}
        bounds = [to_node(b, repeat.path, repeat) for b in (slot.low, slot.high)]
        low, high = (self._number(bound) for bound in bounds)
        step = slot.step if isinstance(slot.step, int) else 1
        return {number: number for number in range(low, high + 1, step)}

    def _number(self, node: Node) -> int:
        number = node.value
        if isinstance(number, bool) or not isinstance(number, int):
            self.report.add(node, "must be a whole number, or a hole of such", node)
        elif not 0 <= number <= MAX_COPIES:
            self.report.add(node, f"must be from 0 to {MAX_COPIES}", node)
        else:
            return number
        return 0

    def _add(self, slot: Slot, name: str, place: _Place) -> bool:
        """Write a hole down; False where it is tied to one that holds something else."""
        holes, when = self.template.holes, place.when
        first = self.ties.get(name)
        if slot.tie and first is not None and first.shape() != slot.shape():
            self.report.add(
                slot.node,
                f"holes named {name!r} must hold the same; the first, on line "
                f"{first.node.line}, is {show(first.node)}",
                slot.node,
            )
            return False
        other = holes.get(name)
        if other is not None:
            # Asked for wherever one of the tied holes is; always, if one of them always is.
            both = other.conditions and when and tuple(dict.fromkeys((*other.conditions, *when)))
            holes[name] = replace(other, conditions=both or ())
            return True
        if slot.tie:
            self.ties[name] = slot
        made = Hole(
            name=name,
            kind=slot.kind,
            choices=slot.choices,
            low=slot.low,
            high=slot.high,
            step=slot.step,
            conditions=when,
            path=place.path,
            line=slot.node.line,
        )
        holes[name] = replace(made, default=default_of(made))
        return True

    def _order(self, stage: Node, name: str, most: int) -> None:
        order = stage.get("order")
        if order is None or len(order.fields) != 1:
            if order is not None:
                self.report.add(order, "must name one field: {model.size: decreasing}", order)
                self.template.broken.append(("stages", name, "order"))
            return
        path, direction = next(iter(order.fields.items()))
        if direction.value not in ("increasing", "decreasing"):
            self.report.add(direction, "must be increasing or decreasing", direction)
            return
        names = tuple(f"{name}.{copy}.{path}" for copy in range(1, most + 1))
        holes = [self.template.holes[n] for n in names if n in self.template.holes]
        if len(holes) < len(names) or not all(_is_numeric(hole) for hole in holes):
            self.report.add(direction, f"{path!r} must be a hole of numbers in this stage, one "
                            "per copy", names=self._candidates(name))  # fmt: skip
            return
        if holes and not holes[0].is_continuous and len(holes[0]) < most:
            self.report.add(order, f"wants {most} unlike values, and {names[0]} has "
                            f"{len(holes[0])}")  # fmt: skip
            return
        self.template.orders.append(Order(name, names, direction.value == "decreasing", direction))

    def _candidates(self, name: str) -> list[str]:
        start = f"{name}.1."
        found = self.template.holes.values()
        return [h.name.removeprefix(start) for h in found if h.name.startswith(start)]

    def refuse_inner_repeats(self, stage: Node) -> None:
        for node in stage.walk():
            if node is not stage and "repeat" in node.fields:
                self.report.add(node.fields["repeat"], "cannot stand in an alternative; write "
                                "`repeat` in the stage itself, with a hole")  # fmt: skip

    def _sort_by_dependence(self) -> None:
        """Holes in the order of the document, but each after those that it depends on."""
        holes, placed = self.template.holes, dict[str, Hole]()

        def place(name: str) -> None:
            if name in placed:
                return
            for condition in holes[name].conditions:
                place(condition.hole)
            placed[name] = holes[name]

        for name in holes:
            place(name)
        self.template.holes = placed


def _is_numeric(hole: Hole) -> bool:
    values = hole.choices if hole.kind == "choice" else ()
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
