"""The other way round: which values of a space's holes give a known schedule."""

from __future__ import annotations

from collections.abc import Mapping

from ..schedule.holes import is_exact_hole, is_hole
from ..schedule.node import Node, join
from ..schedule.problems import Report
from .hole import Value, same
from .slot import Slot, read_slot
from .template import SHARED, Template


def match_values(template: Template, document: Node) -> dict[str, Value]:
    """Return the values that most probably make `template` the schedule in `document`.

    A guess where a schedule left something out; whoever asks fills the template with the values
    and compares what runs.
    """
    matcher = _Matcher(template)
    found = matcher.document(document)
    values: dict[str, Value] = {}
    for name, hole in template.holes.items():
        if template.is_active(name, values):
            values[name] = found.get(name, hole.default)
    return values


class _Matcher:
    def __init__(self, template: Template) -> None:
        self.template = template
        self.found: dict[str, Value] = {}

    def document(self, document: Node) -> Mapping[str, Value]:
        template = self.template.document
        self.node(template.get("defaults"), document.get("defaults"), "defaults", False)
        stages = template.get("stages")
        known = document.get("stages")
        for name, stage in stages.fields.items() if stages is not None else ():
            given = known.get(name) if known is not None else None
            if "repeat" in stage.fields and known is not None:
                self.repeated(stage, name, known)
            else:
                self.node(stage, given, name, False)
        return self.found

    def repeated(self, stage: Node, name: str, known: Node) -> None:
        """Copies may be written out, as NAME_1 .., or be one stage with `repeat`."""
        declared = known.get(name)
        copies = [known.fields[f"{name}_{i}"] for i in range(1, 101) if f"{name}_{i}" in
                  known.fields]  # fmt: skip
        number = len(copies)
        if declared is not None:
            repeat = declared.get("repeat")
            number = repeat.value if repeat is not None and isinstance(repeat.value, int) else 1
            copies = [declared] * number
        shared = copies[0] if copies else declared
        for field in SHARED:
            if field == "repeat":
                self.node(stage.fields[field], Node(number), join(name, field), False)
            elif field != "order" and field in stage.fields and shared is not None:
                self.node(stage.fields[field], shared.get(field), join(name, field), False)
        for index, copy in enumerate(copies, start=1):
            for field, below in stage.fields.items():
                if field not in SHARED:
                    at = join(f"{name}.{index}", field)
                    self.node(below, copy.get(field), at, field == "args")

    def node(self, template: Node | None, given: Node | None, name: str, free: bool) -> bool:
        """Note the values under `template` that make it `given`; say whether that is possible."""
        if template is None:
            return given is None
        if is_exact_hole(template) if free else is_hole(template):
            return self.hole(template, given, name, free)
        if isinstance(template.value, dict):
            return self.block(template, given, name, free)
        if isinstance(template.value, list):
            items = given.items if given is not None else []
            fits = [
                self.node(item, items[i] if i < len(items) else None, join(name, i), free)
                for i, item in enumerate(template.items)
            ]
            return len(items) == len(fits) and all(fits)
        return given is not None and same(template.value, given.value)

    def block(self, template: Node, given: Node | None, name: str, free: bool) -> bool:
        fields = given.fields if given is not None else {}
        fits = [
            self.node(below, fields.get(field), join(name, field), free or field == "args")
            for field, below in template.fields.items()
        ]
        return given is not None and set(fields) == set(template.fields) and all(fits)

    def hole(self, node: Node, given: Node | None, name: str, free: bool) -> bool:
        slot = read_slot(node, Report(""))
        if slot is None:
            return False
        known = slot.tie or name
        if slot.kind == "choice":
            return self.choice(slot, given, name, known, free)
        hole = self.template.holes[known]
        value = given.value if given is not None else None
        if isinstance(value, dict | list):
            return False
        if hole.kind != "int" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if value is None or not hole.accepts(value):
            return False
        self.found[known] = value
        return True

    def choice(self, slot: Slot, given: Node | None, name: str, known: str, free: bool) -> bool:
        for label, inner in zip(slot.choices, slot.alternatives, strict=True):
            before = dict(self.found)
            off = inner.value == "none" or inner.value == []
            if self.node(inner, given, f"{name}[{label}]", free) or (given is None and off):
                self.found[known] = label
                return True
            self.found = before
        return False
