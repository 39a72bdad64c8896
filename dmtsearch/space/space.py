"""A search space: a schedule with holes, and the ways to fill them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from dmtsearch.errors import ScheduleError
from dmtsearch.human import counted
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.schedule import Schedule, SearchSpec, expand
from dmtsearch.schedule.emit import emit
from dmtsearch.schedule.holes import find_holes
from dmtsearch.schedule.load import Reading, read
from dmtsearch.schedule.override import place
from dmtsearch.schedule.places import Lines
from dmtsearch.schedule.problems import ProblemReport
from dmtsearch.schedule.values import plain
from dmtsearch.schedule.yaml import parse_document, read_document

from .check import check_alternatives, check_first_model, find_notes, read_search
from .choosing import all_values, anchor_values, count_values, draw_values, settle
from .hole import Hole, Value
from .reader import read_template
from .starts import find_starts, start_values
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
    def document(self) -> dict[str, Any]:
        """As it was written, without its `search` block: plain data, not to be changed."""
        return self._template.document

    @property
    def lines(self) -> Lines:
        """Where the document's values stand."""
        return self._template.lines

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
            values: By hole name, for the holes that are active (others are not looked at).

        Raises:
            ScheduleError: A value is missing, unknown or out of range, or the schedule cannot
                run: values that are well alone need not go together.
        """
        return self.fill_tracked(values)[0]

    def fill_tracked(self, values: Mapping[str, Value]) -> tuple[Schedule, frozenset[str]]:
        """Return the schedule with `values` in the holes, and the holes that it does not read.

        A hole is not read where its field has no effect (`k` where a selector reads logits, the
        delivered stage's epochs at equal cost) or where nothing learns from its stage.
        Arguments and errors as for `fill`.
        """
        report = ProblemReport(self.lines)
        reading = _fill(self._template, values, report)
        report.finish()
        if reading.schedule is None:
            raise AssertionError("a document without problems makes a schedule")
        idle = _idle_holes(reading, reading.schedule)
        if self.search.equal_cost is not False:
            idle |= _epochs_hole(reading.schedule)
        return reading.schedule, idle

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

    def with_equal_cost(self, cost: int) -> Space:
        """Return the same space with a number of sample-MACs as its `search.equal_cost`."""
        return replace(self, search=self.search.model_copy(update={"equal_cost": cost}))

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
            report = ProblemReport(self.lines)
            for hole in endless:
                report.add(hole.place, "is continuous; a grid needs a step")
            report.finish()
        return all_values(self._template)


def is_space(path: str | FilePath) -> bool:
    """Whether the document at `path` is a search space: it has holes, or a `search` block.

    Raises:
        ScheduleError: The file cannot be read as a document.
    """
    document, _ = read_document(path)
    return "search" in document or any(True for _ in find_holes(document))


def load_space(path: str | FilePath) -> Space:
    """Return the search space in the file at `path`; a schedule is a space without holes.

    Raises:
        ScheduleError: The file cannot be read, or is no valid space; carries every problem: of
            the holes, the search block, and of each alternative in its place.
    """
    document, lines = read_document(path)
    return read_space(document, Lines(str(path), lines))


def parse_space(text: str | bytes, where: str = "<text>") -> Space:
    """Return the search space in `text`; `where` is what errors call it (a file's path)."""
    document, lines = parse_document(text, where)
    return read_space(document, Lines(where, lines))


def read_space(document: dict[str, Any], lines: Lines) -> Space:
    """Return the search space of a document.

    Args:
        document: Plain data.
        lines: Where its values stand.

    Raises:
        ScheduleError: Carries every problem.
    """
    report = ProblemReport(lines)
    search = document.get("search")
    without_search = {name: value for name, value in document.items() if name != "search"}
    template = read_template(without_search, lines, report)
    spec = read_search(search, template, report)
    anchor: Schedule | None = None
    if not report.problems or template.holes:
        anchor = check_alternatives(template, report, _fill_template)
    if anchor is not None:
        check_first_model(spec, anchor, report)
    report.finish()
    if anchor is None:
        raise AssertionError("a space without problems has an anchor")
    space = Space(
        name=str(document.get("name", FilePath(lines.where).stem)),
        where=lines.where,
        search=spec,
        notes=tuple(find_notes(template, anchor, report)),
        start_with=(),
        _template=template,
    )
    starts = [
        start_values(template, space.fill, at, file, report)
        for at, file in find_starts(spec, lines.where)
    ]
    report.finish()
    return replace(space, start_with=tuple(start for start in starts if start is not None))


def _fill_template(
    template: Template, values: Mapping[str, Value], report: ProblemReport
) -> Schedule | None:
    return _fill(template, values, report).schedule


def _fill(template: Template, values: Mapping[str, Value], report: ProblemReport) -> Reading:
    """Fill and check; what is wrong goes to `report`, with the places of the template."""
    document, copies, lines = template.fill(values)
    inner = ProblemReport(lines)
    reading = read(document, inner, copies=copies, known=template.broken)
    for problem in inner.problems:
        report.add_sentence(problem)
    return reading


def _idle_holes(reading: Reading, schedule: Schedule) -> frozenset[str]:
    """The holes that a schedule does not read, of those that were filled in it.

    They stand in fields without effect, or in stages on which the delivered one does not rest.
    """
    needed = {stage.name for stage in expand(schedule).needed()}
    lines = schedule.lines
    read: set[str] = set()
    filled: set[str] = set()
    for path, one in lines.filled.items():
        if one.hole is None or path[2:3] in (("repeat",), ("order",)):
            continue
        if path[0] != "stages":
            read.add(one.hole)
            continue
        copies = [name for name, declared in lines.declared.items() if declared == path[1]]
        for name in copies or [str(path[1])]:
            if name in reading.stages:
                filled.add(one.hole)
                stage = reading.stages[name]
                idle = any(path[2 : 2 + len(at)] == at for at in (*stage.dropped, *stage.off))
                if name in needed and not idle:
                    read.add(one.hole)
    return frozenset(filled - read)


def _epochs_hole(schedule: Schedule) -> frozenset[str]:
    """The hole of the delivered stage's own epochs, which equal cost sets."""
    filled = schedule.lines.filled.get(("stages", schedule.deliver or "", "epochs"))
    return frozenset([filled.hole] if filled is not None and filled.hole is not None else [])


# -- as a file again ----------------------------------------------------------------------------


def dump_space(space: Space, *, start_with: Sequence[str] | None = None) -> str:
    """Return `space` as YAML that stands alone: its name is in it.

    Args:
        space: To write.
        start_with: Other paths of the known schedules, where the file goes to another folder.
    """
    document = dict(space.document)
    search = _search_block(space)
    if start_with is not None and search.get("start_with"):
        search["start_with"] = list(start_with)
    head = {name: document.pop(name) for name in ("dmtsearch",) if name in document}
    return emit({**head, "name": space.name, "search": search, **document})


def override_space(space: Space, changes: Mapping[str, Any]) -> Space:
    """Return `space` with other values, checked as if they stood in the file.

    Args:
        space: A loaded space.
        changes: By document path, as `dmtsearch.schedule.override` takes them. A value may be a
            hole, and may stand where there was one.

    Raises:
        ScheduleError: A path leads nowhere, or the space cannot be searched as changed.
    """
    document = {**space.document, "search": _search_block(space)}
    return read_space(*place(document, space.lines, changes))


def _search_block(space: Space) -> dict[str, Any]:
    """The fields of the block that were given, as plain data."""
    search = space.search
    found = {name: getattr(search, name) for name in type(search).model_fields}
    return {n: _given(value) for n, value in found.items() if n in search.model_fields_set}


def _given(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return {name: _given(item) for name, item in value.items()}
    if hasattr(value, "model_fields_set"):
        names = [name for name in type(value).model_fields if name in value.model_fields_set]
        return {name: _given(getattr(value, name)) for name in names}
    return plain(value)
