"""A document with holes: which holes there are, and the document with values in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush
from typing import Any

from dmtsearch.errors import ScheduleError, nearest
from dmtsearch.schedule.places import Filled, Lines, Path, join
from dmtsearch.schedule.problems import show
from dmtsearch.schedule.stage import MAX_COPIES

from .hole import Hole, Value, identity

SHARED = ("source", "init", "modality", "repeat", "order")
"""Fields that the copies of a repeated stage have in common: a hole in them is one value."""


@dataclass(frozen=True)
class Slot:
    """A well-formed hole as it stands in the document.

    Attributes:
        at: Its document path.
        written: As plain data.
        tie: The name after `as`.
        places: Of a choice: the document path of each alternative.
    """

    kind: str
    at: Path = ()
    written: Any = None
    tie: str | None = None
    choices: tuple[Value, ...] = ()
    alternatives: tuple[Any, ...] = ()
    places: tuple[Path, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None

    def index(self, value: object) -> int:
        """Which of a choice's alternatives has this label."""
        return self._labels[identity(value)]

    @cached_property
    def _labels(self) -> dict[tuple[str, object], int]:
        return {identity(choice): index for index, choice in enumerate(self.choices)}

    def shape(self) -> tuple[Any, ...]:
        """What tied holes must have in common."""
        choices = tuple(identity(choice) for choice in self.choices)
        return (self.kind, choices, self.low, self.high, self.step)


@dataclass(frozen=True)
class Order:
    """The holes of a stage's copies whose values are sorted, without equal ones."""

    stage: str
    holes: tuple[str, ...]
    decreasing: bool
    path: str
    line: int | None


@dataclass
class Template:
    """A document whose holes are known.

    Attributes:
        document: As written, without its `search` block.
        lines: Where its values stand.
        holes: By name, each after those that it depends on.
        slots: By document path: the holes as they stand (tied holes have several).
        on_the_way: Document paths below which there are holes.
        orders: The sorted ones.
        broken: Fields with malformed holes, left out of the document.
    """

    document: dict[str, Any]
    lines: Lines
    holes: dict[str, Hole] = field(default_factory=dict)
    slots: dict[Path, Slot] = field(default_factory=dict)
    on_the_way: set[Path] = field(default_factory=set)
    orders: list[Order] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)

    def note(self, slot: Slot) -> None:
        """Note where a hole stands."""
        self.slots[slot.at] = slot
        self.on_the_way |= {slot.at[:end] for end in range(len(slot.at) + 1)}

    def active(self, values: Mapping[str, Value]) -> Iterator[Hole]:
        """Yield the active holes, given the values of those that they depend on.

        Each comes after those that it depends on, so that the caller may put its value into
        `values` before going on. Takes time for the active holes, not for all: an
        alternative among a thousand costs as much as one among two.
        """
        waiting = list(self._always)
        met = set(waiting)
        while waiting:
            hole = self._every[heappop(waiting)]
            yield hole
            for index in self._places_below(hole.name, values.get(hole.name)):
                if index not in met:
                    met.add(index)
                    heappush(waiting, index)

    def below(self, name: str, value: Value) -> list[Hole]:
        """The holes that are active by a value of another."""
        return [self._every[index] for index in self._places_below(name, value)]

    def _places_below(self, name: str, value: Value | None) -> Sequence[int]:
        by_value = self._below.get(name)
        return by_value.get(identity(value), ()) if by_value else ()

    @cached_property
    def _every(self) -> list[Hole]:
        return list(self.holes.values())

    @cached_property
    def _always(self) -> list[int]:
        """Places, in `holes`, of those without a condition; rising, and so a heap."""
        return [index for index, hole in enumerate(self._every) if not hole.conditions]

    @cached_property
    def _below(self) -> dict[str, dict[tuple[str, object], list[int]]]:
        """By hole and value: places, in `holes`, of those that are active by it."""
        found: dict[str, dict[tuple[str, object], list[int]]] = {}
        for index, hole in enumerate(self._every):
            for condition in hole.conditions:
                by_value = found.setdefault(condition.hole, {})
                for value in condition.values:
                    by_value.setdefault(identity(value), []).append(index)
        return found

    def fill(
        self, values: Mapping[str, Value]
    ) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]], Lines]:
        """Return the document with `values` in its holes, its stages' copies, and its lines.

        Raises:
            ScheduleError: A value is missing, unknown or out of range; equal values where
                `order` wants unlike ones.
        """
        return _Filler(self, self._checked(values)).document()

    def _checked(self, values: Mapping[str, Value]) -> dict[str, Value]:
        where = self.lines.where
        problems = [
            f"{name}: no such hole{nearest(name, self.holes)}  ({where})"
            for name in values
            if name not in self.holes
        ]
        chosen: dict[str, Value] = {}
        for hole in self.active(chosen):
            name = hole.name
            if name not in values:
                problems.append(f"{name}: needs a value, {hole.describe()}  {_at(hole, where)}")
            elif not hole.accepts(values[name]):
                text = f"must be {hole.describe()}, got {show(values[name])}"
                problems.append(f"{name}: {text}  {_at(hole, where)}")
            else:
                chosen[name] = values[name]
        for order in self.orders:
            problems += self._sort(order, chosen)
        if problems:
            raise ScheduleError(where, problems)
        return chosen

    def _sort(self, order: Order, chosen: dict[str, Value]) -> list[str]:
        names = [name for name in order.holes if name in chosen]
        values = sorted((chosen[name] for name in names), reverse=order.decreasing)
        if len(set(values)) < len(values):
            where = self.lines.where
            line = f"{where}:{order.line}" if order.line else where
            return [f"{order.path}: wants unlike values, got {show(values)}  ({line})"]
        chosen.update(zip(names, values, strict=True))
        return []


def _at(hole: Hole, where: str) -> str:
    return f"({where}:{hole.line})" if hole.line else f"({where})"


class _Filler:
    """Puts values into holes, and notes where what was chosen is written."""

    def __init__(self, template: Template, values: Mapping[str, Value]) -> None:
        self.template, self.values = template, values
        self.filled: dict[Path, Filled] = {}

    def document(self) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]], Lines]:
        document = dict(self.template.document)
        copies: dict[str, list[dict[str, Any]]] = {}
        if "defaults" in document:
            at: Path = ("defaults",)
            document["defaults"] = self.value(document["defaults"], at, "defaults", "defaults", at)
        stages = document.get("stages")
        if isinstance(stages, dict):
            document["stages"] = {
                name: self.stage(name, stage, copies) for name, stage in stages.items()
            }
        return document, copies, replace(self.template.lines, filled=self.filled)

    def stage(self, name: str, stage: Any, copies: dict[str, list[dict[str, Any]]]) -> Any:
        """A stage filled; one with `repeat` also adds its copies, without that field."""
        at: Path = ("stages", name)
        path = join("stages", name)
        if not isinstance(stage, dict) or "repeat" not in stage:
            return self.value(stage, at, name, path, at)
        shared = {field: value for field, value in stage.items() if field in SHARED}
        shared = self.fields(shared, at, name, path, at)
        repeat = shared["repeat"]
        number = repeat if isinstance(repeat, int) else 0
        rest = {field: value for field, value in stage.items() if field not in SHARED}
        both = {field: value for field, value in shared.items() if field not in SHARED[-2:]}
        copies[name] = [
            both | self.fields(rest, at, f"{name}.{copy}", path, ("stages", f"{name}_{copy}"))
            for copy in range(1, min(number, MAX_COPIES) + 1)
        ]
        return shared

    def fields(
        self, fields: dict[str, Any], at: Path, name: str, path: str, target: Path
    ) -> dict[str, Any]:
        """Fields filled; those below which there is no hole are shared, not copied.

        Args:
            fields: As they were written.
            at: Where they were written in the template.
            name: What holes are called here.
            path: What a reader is shown.
            target: Where they are in the filled document.
        """
        on_the_way = self.template.on_the_way
        return {
            step: self.value(
                below, (*at, step), join(name, step), join(path, step), (*target, step)
            )
            if (*at, step) in on_the_way
            else below
            for step, below in fields.items()
        }

    def value(self, value: Any, at: Path, name: str, path: str, target: Path) -> Any:
        if at in self.template.slots:
            return self.hole(value, at, name, path, target)
        if at not in self.template.on_the_way:
            return value
        if isinstance(value, dict):
            return self.fields(value, at, name, path, target)
        return [
            self.value(below, (*at, i), join(name, i), join(path, i), (*target, i))
            for i, below in enumerate(value)
        ]

    def hole(self, value: Any, at: Path, name: str, path: str, target: Path) -> Any:
        slot = self.template.slots[at]
        known = slot.tie or name
        if known not in self.values:
            return value  # malformed in a way that has been reported
        chosen = self.values[known]
        if slot.kind != "choice":
            self.filled[target] = Filled(path, at, known)
            return float(chosen) if slot.kind != "int" else chosen
        index = slot.index(chosen)
        label, place = f"[{chosen}]", slot.places[index]
        inner = self.value(slot.alternatives[index], place, name + label, path + label, target)
        within = self.filled.get(target)
        self.filled[target] = (
            Filled(within.path, within.written, known)
            if within
            else Filled(path + label, place, known)
        )
        return inner
