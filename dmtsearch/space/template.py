"""A document with holes: which holes there are, and the document with values in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import ScheduleError, nearest
from ..schedule.holes import is_exact_hole, is_hole
from ..schedule.node import Node, join
from ..schedule.problems import Report, show
from ..schedule.spec import MAX_COPIES
from ..schedule.unroll import unroll
from .hole import Condition, Hole, Value, same
from .slot import Slot, read_slot

SHARED = ("source", "init", "modality", "repeat", "order")
"""Fields that the copies of a repeated stage have in common: a hole in them is one value."""
_NO_HOLES = ("dmtsearch", "name", "seed", "data", "deliver")


@dataclass(frozen=True)
class Order:
    """The holes of a stage's copies whose values are sorted, without equal ones."""

    stage: str
    holes: tuple[str, ...]
    decreasing: bool
    node: Node


@dataclass
class Template:
    """A document whose holes are known.

    Attributes:
        document: As written, without its `search` block.
        holes: By name, each after those that it depends on.
        slots: The places in which holes stand, by their names (tied holes have several).
        orders: The sorted ones.
        broken: Fields with malformed holes, left out of the document.
    """

    document: Node
    holes: dict[str, Hole] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    broken: list[tuple[str, ...]] = field(default_factory=list)
    _slots: dict[int, tuple[Node, Slot | None]] = field(default_factory=dict, repr=False)
    """Holes read before, by the id of their node, which is kept with them."""

    def is_active(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether a hole is asked for, given the values of those that it depends on."""
        conditions = self.holes[name].conditions
        return not conditions or any(self._holds(c, values) for c in conditions)

    def _holds(self, condition: Condition, values: Mapping[str, Value]) -> bool:
        value = values.get(condition.hole)
        wanted = any(same(value, one) for one in condition.values)
        return value is not None and wanted and self.is_active(condition.hole, values)

    def fill(self, values: Mapping[str, Value], where: str) -> Node:
        """Return the document with `values` in its holes and its repeats written out.

        Raises:
            ScheduleError: A value is missing, unknown or out of range; equal values where
                `order` wants unlike ones.
        """
        chosen = self._checked(values, where)
        filler = _Filler(chosen, self._slots)
        document, copies = filler.document(self.document)
        return unroll(document, copies).document if document.get("stages") else document

    def _checked(self, values: Mapping[str, Value], where: str) -> dict[str, Value]:
        problems = [
            f"{name}: no such hole{nearest(name, self.holes)}  ({where})"
            for name in values
            if name not in self.holes
        ]
        chosen: dict[str, Value] = {}
        for name, hole in self.holes.items():
            if not self.is_active(name, chosen):
                continue
            if name not in values:
                problems.append(f"{name}: needs a value, {hole.describe()}  {_at(hole, where)}")
            elif not hole.accepts(values[name]):
                text = f"must be {hole.describe()}, got {show(values[name])}"
                problems.append(f"{name}: {text}  {_at(hole, where)}")
            else:
                chosen[name] = values[name]
        for order in self.orders:
            problems += self._sort(order, chosen, where)
        if problems:
            raise ScheduleError(where, problems)
        return chosen

    def _sort(self, order: Order, chosen: dict[str, Value], where: str) -> list[str]:
        names = [name for name in order.holes if name in chosen]
        values = sorted((chosen[name] for name in names), reverse=order.decreasing)
        if len(set(values)) < len(values):
            line = f"{where}:{order.node.line}" if order.node.line else where
            return [f"{order.node.path}: wants unlike values, got {show(values)}  ({line})"]
        chosen.update(zip(names, values, strict=True))
        return []


def _at(hole: Hole, where: str) -> str:
    return f"({where}:{hole.line})" if hole.line else f"({where})"


class _Filler:
    """Puts values into holes. Nodes get readable paths and keep the lines of what was chosen."""

    def __init__(
        self, values: Mapping[str, Value], slots: dict[int, tuple[Node, Slot | None]]
    ) -> None:
        self.values = values
        self.slots = slots

    def document(self, document: Node) -> tuple[Node, dict[str, list[Node]]]:
        fields: dict[str, Node | None] = {}
        copies: dict[str, list[Node]] = {}
        stages = document.get("stages")
        defaults = document.get("defaults")
        if defaults is not None:
            fields["defaults"] = self.node(defaults, "defaults", "defaults", False)
        filled: dict[str, Node] = {}
        for name, stage in stages.fields.items() if stages is not None else ():
            path = join("stages", name)
            if "repeat" not in stage.fields:
                filled[name] = self.node(stage, name, path, False)
                continue
            shared = self.some(stage, name, path, lambda field: field in SHARED)
            repeat = shared.fields["repeat"].value
            number = repeat if isinstance(repeat, int) else 0
            copies[name] = [
                shared.with_fields(
                    self.some(stage, f"{name}.{i}", path, lambda f: f not in SHARED).fields
                )
                for i in range(1, min(number, MAX_COPIES) + 1)
            ]
            filled[name] = shared
        if stages is not None and filled:
            fields["stages"] = replace(stages, value=filled)
        return document.with_fields(fields), copies

    def some(self, stage: Node, name: str, path: str, wanted: Callable[[str], bool]) -> Node:
        """The wanted fields of a stage, filled."""
        return replace(
            stage,
            value={
                field: self.node(below, join(name, field), join(path, field), field == "args")
                for field, below in stage.fields.items()
                if wanted(field)
            },
        )

    def node(self, node: Node, name: str, path: str, free: bool) -> Node:
        if is_exact_hole(node) if free else is_hole(node):
            return self.hole(node, name, path, free)
        value: Any = node.value
        if isinstance(value, dict):
            value = {
                step: self.node(below, join(name, step), join(path, step), free or step == "args")
                for step, below in value.items()
            }
        elif isinstance(value, list):
            value = [
                self.node(below, join(name, i), join(path, i), free)
                for i, below in enumerate(value)
            ]
        return replace(node, value=value, path=path)

    def hole(self, node: Node, name: str, path: str, free: bool) -> Node:
        if id(node) not in self.slots:
            self.slots[id(node)] = (node, read_slot(node, Report("")))
        slot = self.slots[id(node)][1]
        known = (slot.tie if slot is not None else None) or name
        if slot is None or known not in self.values:
            return node  # malformed in a way that has been told
        value = self.values[known]
        if slot.kind != "choice":
            line = node.line
            number = float(value) if slot.kind != "int" else value
            return Node(number, path, line, drawn=True, hole=known)
        inner = self.node(slot.alternative(value), f"{name}[{value}]", f"{path}[{value}]", free)
        return replace(inner, drawn=True, hole=known)
