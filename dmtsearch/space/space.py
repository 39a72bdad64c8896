"""A search space: a schedule with holes, and the ways to fill them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ScheduleError
from ..human import counted
from ..notebook import html_view, short_repr, shown_names
from ..schedule import SearchSpec, expand
from ..schedule.document import parse_document, read_document
from ..schedule.holes import find_holes
from ..schedule.load import build, load_schedule, strip_dropped, without
from ..schedule.node import Node, to_node
from ..schedule.problems import Report
from ..schedule.schedule import Schedule
from ..schedule.written import written
from .alternatives import check_alternatives
from .choosing import all_values, anchor_values, count_values, draw_values, settle
from .hole import Hole, Value
from .match import match_values
from .notes import find_notes
from .reader import read_template
from .search_block import find_starts, read_search
from .template import Template

MAX_DRAWS = 1000


@dataclass(frozen=True)
class Space:
    """Which schedules may be tried.

    Attributes:
        name: The space's name, else its file's stem.
        where: The file's path, or `<text>`.
        search: What is asked and how it is searched; the defaults where there is no such block.
        notes: What is allowed but should be known, each with file and line.
        start_with: Values of the known schedules to try first.
    """

    name: str
    where: str
    search: SearchSpec
    notes: tuple[str, ...]
    start_with: tuple[Mapping[str, Value], ...]
    _template: Template = field(repr=False)

    def __repr__(self) -> str:
        names = shown_names(hole.name for hole in self.holes)
        return short_repr(self, repr(self.name), f"{counted(len(self.holes), 'hole')}: {names}")

    def _repr_html_(self) -> str:
        shown = [hole.as_dict() for hole in self.holes]
        rows = [(one["name"], one["kind"], one["values"], one["when"] or "") for one in shown]
        facts = {"from": self.where, "question": self.search.question or ""}
        columns = ("hole", "kind", "values", "when")
        return html_view(f"Space {self.name}", facts, columns=columns, rows=rows)

    @property
    def holes(self) -> tuple[Hole, ...]:
        """The dimensions of the search, each after those that it depends on."""
        return tuple(self._template.holes.values())

    @property
    def document(self) -> Node:
        """As it was written, without its `search` block."""
        return self._template.document

    def anchor_values(self) -> dict[str, Value]:
        """The middle of each range (of two middles the lower), the first of each choice."""
        return anchor_values(self._template)

    def anchor(self) -> Schedule:
        """Return the schedule from which control arms are made, at `anchor_values`."""
        return self.fill(self.anchor_values())

    def fill(self, values: Mapping[str, Value]) -> Schedule:
        """Return the schedule with `values` in the holes.

        Repeated stages are written out as NAME_1, NAME_2, ...; copies that `order` sorts are
        sorted; fields that the values leave without effect are left out.

        Args:
            values: By hole name, for the holes that are asked for (others are not looked at).

        Raises:
            ScheduleError: A value is missing, unknown or out of range, or the schedule cannot
                run: values that are well alone need not go together.
        """
        return self.fill_tracked(values)[0]

    def fill_tracked(self, values: Mapping[str, Value]) -> tuple[Schedule, frozenset[str]]:
        """Return the schedule with `values` in the holes, and the holes that it does not read.

        A hole is not read where its field has no effect (`k` where a selector reads logits) or
        where nothing learns from its stage. Arguments and errors as for `fill`.
        """
        report = Report(self.where)
        schedule, document, left_out = _fill(self._template, values, report)
        report.finish()
        if schedule is None:
            raise AssertionError("a document without problems makes a schedule")
        return schedule, frozenset(left_out | _idle_holes(document, schedule))

    def settle(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return `values` as a fill takes them: without idle ones, sorted copies sorted.

        Equal draws of copies that `order` sorts are moved to the nearest values that are free.
        """
        return settle(self._template, values)

    def sample(self, seed: int) -> dict[str, Value]:
        """Return values drawn uniformly, the same for the same seed, that make a valid schedule.

        Raises:
            ScheduleError: None of 1,000 draws made one.
        """
        problems: tuple[str, ...] = ()
        for attempt in range(MAX_DRAWS):
            values = draw_values(self._template, seed, attempt)
            try:
                self.fill(values)
            except ScheduleError as error:
                problems = problems or error.problems
                continue
            return values
        raise ScheduleError(
            self.where,
            [f"none of {MAX_DRAWS} draws is a schedule that can run; the first:", *problems],
        )

    def draw(self, seed: int) -> Schedule:
        """Return the schedule of `sample(seed)`."""
        return self.fill(self.sample(seed))

    def size(self) -> int | None:
        """Return the number of combinations of values; None where a hole is continuous."""
        return count_values(self._template)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every combination of values, each once. Some may make no schedule that can run.

        Raises:
            ScheduleError: A hole is continuous.
        """
        endless = [hole for hole in self.holes if hole.is_continuous]
        if endless:
            report = Report(self.where)
            for hole in endless:
                report.add(Node(None, hole.path, hole.line), "is continuous; a grid needs a step")
            report.finish()
        return all_values(self._template)


def is_space(path: str | Path) -> bool:
    """Whether the document at `path` is a search space: it has holes, or a `search` block.

    Raises:
        ScheduleError: The file cannot be read as a document.
    """
    document = read_document(path)
    return "search" in document.fields or any(True for _ in find_holes(document))


def load_space(path: str | Path) -> Space:
    """Return the search space in the file at `path`; a schedule is a space without holes.

    Raises:
        ScheduleError: The file cannot be read, or is no valid space; carries every problem: of
            the holes, the search block, and of each alternative in its place.
    """
    return read_space(read_document(path), str(path))


def parse_space(text: str | bytes, where: str = "<text>") -> Space:
    """Return the search space in `text`; `where` is what errors call it (a file's path)."""
    return read_space(parse_document(text, where), where)


def fill_template(
    template: Template, values: Mapping[str, Value], report: Report
) -> Schedule | None:
    """Fill and check; fields that a value has made idle are dropped until none is left."""
    return _fill(template, values, report)[0]


def _fill(
    template: Template, values: Mapping[str, Value], report: Report
) -> tuple[Schedule | None, Node, set[str]]:
    """The schedule, its document, and the holes that stand in fields without effect alone."""
    document = template.fill(values, report.where)
    left_out: set[str] = set()
    while True:
        inner = Report(report.where)
        schedule = build(document, inner, _broken(template, document))
        if not inner.dropped:
            break
        for steps in inner.dropped:
            idle = document.get("stages", *steps)
            left_out |= _holes_in(idle) if idle is not None else set()
        document = strip_dropped(document, inner.dropped)
    for problem in inner.problems:
        if problem not in report.problems:
            report.problems.append(problem)
    read = document
    for steps in inner.off:
        read = without(read, ("stages", *steps))
    left_out |= _holes_in(document)
    return schedule, document, left_out - _holes_in(read)


def _holes_in(document: Node) -> set[str]:
    return {node.hole for node in document.walk() if node.hole is not None}


def _idle_holes(document: Node, schedule: Schedule) -> set[str]:
    """Holes that stand in nothing but stages which the delivered one does not rest on."""
    needed = {stage.name for stage in expand(schedule).needed()}
    stages = document.get("stages")
    idle = [name for name in (stages.fields if stages is not None else {}) if name not in needed]
    rest = document
    for name in idle:
        rest = without(rest, ("stages", name))
    return _holes_in(document) - _holes_in(rest)


def _broken(template: Template, document: Node) -> list[tuple[str, ...]]:
    """The fields that are left out since they are malformed, of a stage's copies too."""
    stages = document.get("stages")
    names = list(stages.fields) if stages is not None else []
    found = list(template.broken)
    for steps in template.broken:
        if len(steps) > 1 and steps[0] == "stages":
            copy = re.compile(re.escape(steps[1]) + r"_\d+")
            found += [("stages", name, *steps[2:]) for name in names if copy.fullmatch(name)]
    return found


def read_space(document: Node, where: str) -> Space:
    """Return the search space of a document; `where` is what errors call it (a file's path).

    Raises:
        ScheduleError: Carries every problem.
    """
    report = Report(where)
    search = document.get("search")
    template = read_template(document.with_fields({"search": None}), report)
    spec = read_search(search, template, report)
    holes_fit = not report.problems or bool(template.holes)
    if holes_fit:
        check_alternatives(template, report, fill_template)
    report.finish()
    name = document.get("name")
    space = Space(
        name=str(name.value) if name is not None else Path(where).stem,
        where=where,
        search=spec,
        notes=tuple(find_notes(template, report)),
        start_with=(),
        _template=template,
    )
    starts = [_start(space, node, file, report) for node, file in find_starts(search, spec, where)]
    report.finish()
    found = tuple(start for start in starts if start is not None)
    return Space(space.name, where, spec, space.notes, found, template)


def _start(space: Space, node: Node, file: Path, report: Report) -> dict[str, Value] | None:
    """The values that make a known schedule; a problem where the space cannot make it."""
    try:
        schedule = load_schedule(file)
    except ScheduleError as error:
        for problem in error.problems:
            report.add(node, f"{file}: {problem}")
        return None
    values = match_values(space._template, to_node(written(schedule)))
    try:
        same = expand(space.fill(values)).stages == expand(schedule).stages
    except ScheduleError:
        same = False
    if not same:
        report.add(node, "is not a schedule of this space: no values of its holes make it")
        return None
    return values
