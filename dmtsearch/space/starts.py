"""Known schedules to try first: which values of a space's holes give each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, SearchSpec, expand, load_schedule
from dmtsearch.schedule.dump import written
from dmtsearch.schedule.places import Path, join
from dmtsearch.schedule.problems import ProblemReport

from .hole import Value, same
from .template import SHARED, Slot, Template


def find_starts(spec: SearchSpec, where: str) -> list[tuple[Path, FilePath]]:
    """The files of `start_with`, relative to the space's own folder, each with its place."""
    folder = FilePath(where).parent if where != "<text>" else FilePath()
    places: list[Path] = [("search", "start_with", i) for i in range(len(spec.start_with))]
    return [(place, folder / file) for place, file in zip(places, spec.start_with, strict=True)]


def start_values(
    template: Template, fill: Any, at: Path, file: FilePath, report: ProblemReport
) -> dict[str, Value] | None:
    """The values that make a known schedule; a problem where the space cannot make it.

    Args:
        template: Of the space.
        fill: From values to the space's schedule.
        at: Where the file is named.
        file: The known schedule.
        report: Takes the problems.
    """
    try:
        schedule = load_schedule(file)
    except ScheduleError as error:
        for problem in error.problems:
            report.add(at, f"{file}: {problem}")
        return None
    values = match_values(template, schedule)
    try:
        same_stages = expand(fill(values)).stages == expand(schedule).stages
    except ScheduleError:
        same_stages = False
    if not same_stages:
        report.add(at, "is not a schedule of this space: no values of its holes make it")
        return None
    return values


def match_values(template: Template, schedule: Schedule) -> dict[str, Value]:
    """Return the values that most probably make `template` the known schedule.

    A guess where a schedule left something out; whoever asks fills the template with the values
    and compares what runs.
    """
    found = _Matcher(template).document(written(schedule.document))
    values: dict[str, Value] = {}
    for hole in template.active(values):
        values[hole.name] = found.get(hole.name, hole.default)
    return values


class _Matcher:
    def __init__(self, template: Template) -> None:
        self.template = template
        self.found: dict[str, Value] = {}

    def document(self, document: Mapping[str, Any]) -> Mapping[str, Value]:
        written = self.template.document
        defaults = written.get("defaults")
        self.value(defaults, document.get("defaults"), "defaults", ("defaults",))
        known = document["stages"]
        for name, stage in written["stages"].items():
            at: Path = ("stages", name)
            if "repeat" in stage:
                self.repeated(stage, name, at, known)
            else:
                self.value(stage, known.get(name), name, at)
        return self.found

    def repeated(
        self, stage: Mapping[str, Any], name: str, at: Path, known: Mapping[str, Any]
    ) -> None:
        """Copies may be written out, as NAME_1 .., or be one stage with `repeat`."""
        declared = known.get(name)
        copies = [known[f"{name}_{i}"] for i in range(1, 101) if f"{name}_{i}" in known]
        number = len(copies)
        if declared is not None:
            number = declared.get("repeat", 1)
            copies = [declared] * number
        shared = copies[0] if copies else declared
        for field in SHARED:
            if field == "repeat":
                self.value(stage[field], number, join(name, field), (*at, field))
            elif field != "order" and field in stage and shared is not None:
                self.value(stage[field], shared.get(field), join(name, field), (*at, field))
        for index, copy in enumerate(copies, start=1):
            for field, below in stage.items():
                if field not in SHARED:
                    called = join(f"{name}.{index}", field)
                    self.value(below, copy.get(field), called, (*at, field))

    def value(self, template: Any, given: Any, name: str, at: Path) -> bool:
        """Note the values under `template` that make it `given`; say whether that is possible."""
        if template is None:
            return given is None
        slot = self.template.slots.get(at)
        if slot is not None:
            return self.hole(slot, given, name)
        if isinstance(template, dict):
            fields = given if isinstance(given, dict) else {}
            fits = [
                self.value(below, fields.get(field), join(name, field), (*at, field))
                for field, below in template.items()
            ]
            return given is not None and set(fields) == set(template) and all(fits)
        if isinstance(template, list):
            items = given if isinstance(given, list) else []
            fits = [
                self.value(item, items[i] if i < len(items) else None, join(name, i), (*at, i))
                for i, item in enumerate(template)
            ]
            return len(items) == len(fits) and all(fits)
        return given is not None and same(template, given)

    def hole(self, slot: Slot, given: Any, name: str) -> bool:
        known = slot.tie or name
        if slot.kind == "choice":
            return self.choice(slot, given, name, known)
        hole = self.template.holes[known]
        if isinstance(given, dict | list) or given is None:
            return False
        if hole.kind != "int" and isinstance(given, int) and not isinstance(given, bool):
            given = float(given)
        if not hole.accepts(given):
            return False
        self.found[known] = given
        return True

    def choice(self, slot: Slot, given: Any, name: str, known: str) -> bool:
        alternatives = zip(slot.choices, slot.alternatives, slot.places, strict=True)
        for label, inner, at in alternatives:
            before = dict(self.found)
            off = inner == "none" or inner == []
            if self.value(inner, given, f"{name}[{label}]", at) or (given is None and off):
                self.found[known] = label
                return True
            self.found = before
        return False
