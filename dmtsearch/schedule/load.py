"""Text to schedule: read, validate, check across fields, and tell every problem at once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from .check_data import check_data
from .check_graph import check_graph
from .check_model import check_model
from .check_stage import StageCheck, check_defaults
from .check_unrolled import check_unrolled
from .document import parse_document, read_document
from .holes import find_holes
from .merge import Merged, merge_stage
from .node import Node
from .problems import Origin, Report, show
from .schedule import Schedule
from .spec import ScheduleFields, StageSpec
from .wording import add_errors

Steps = tuple[str, ...]


def load_schedule(path: str | Path) -> Schedule:
    """Return the schedule in the file at `path`.

    Raises:
        ScheduleError: The file cannot be read, is no schedule, or cannot run as written; carries
            every problem, each with file and line.
    """
    return check_document(read_document(path), str(path))


def parse_schedule(text: str | bytes, where: str = "<text>") -> Schedule:
    """Return the schedule in `text`; `where` is what errors call it (a file's path)."""
    return check_document(parse_document(text, where), where)


def check_document(document: Node, where: str) -> Schedule:
    """Return the schedule in a document without holes; see `load_schedule`."""
    report = Report(where)
    refuse_holes(document, report)
    report.finish()
    schedule = build(document, report)
    report.finish()
    if schedule is None:
        raise AssertionError("a document without problems makes a schedule")
    return schedule


def refuse_holes(document: Node, report: Report) -> None:
    """Report what makes a document a search space; the rest is told when it is read as one."""
    advice = "this is a search space; load it as one (`dmtsearch search`), or fill it"
    search = document.get("search")
    if search is not None:
        report.add(search, f"a schedule has no search block: {advice}")
        return
    for hole in find_holes(document):
        report.add(hole, f"is a hole, {show(hole)}: {advice}")


def build(document: Node, report: Report, known: Sequence[Steps] = ()) -> Schedule | None:
    """Validate a document without holes; None where there are problems, now in `report`.

    Args:
        document: The document.
        report: Takes the problems.
        known: Fields that were left out of the document since they are known to be broken.
    """
    document = _named(document, report.where)
    broken: list[Steps] = list(known)
    document = _without_nulls(document, report, broken)
    fields: ScheduleFields | None = None
    try:
        fields = ScheduleFields.model_validate(document.plain())
    except ValidationError as error:
        places = add_errors(report, error, document, absent=known)
        broken += places
        for steps in places:
            document = pruned(document, steps)
    stages = _merged(document, broken)
    _check(document, stages, report, broken)
    if fields is None or report.problems:
        return None
    return Schedule.of(fields, Origin(report.where, document), report.warnings)


def _named(document: Node, where: str) -> Node:
    if "name" in document.fields:
        return document
    stem = Path(where).stem if where != "<text>" else "schedule"
    return document.with_fields({"name": Node(stem or "schedule", "name", document.line)})


def _without_nulls(document: Node, report: Report, broken: list[Steps]) -> Node:
    for steps, node in list(_nulls(document, ())):
        report.add(node, "is empty; write a value, `none` to switch it off, or drop the line")
        broken.append(steps)
        document = pruned(document, steps)
    return document


def _nulls(node: Node, steps: Steps) -> list[tuple[Steps, Node]]:
    if node.value is None:
        return [(steps, node)]
    found = []
    for name, below in node.fields.items():
        if name != "args":
            found += _nulls(below, (*steps, name))
    for index, below in enumerate(node.items):
        found += _nulls(below, (*steps, str(index)))
    return found


def _field_of(steps: Steps) -> Steps:
    """The field of a stage, of `data` or of the document in which something is broken."""
    return steps[: 3 if steps[0] == "stages" else 2 if steps[0] in ("defaults", "data") else 1]


def pruned(document: Node, steps: Steps) -> Node:
    """The document without the broken field; a stage keeps its place, for those who name it."""
    field = _field_of(steps)
    below = document.get(*field)
    if len(field) != 2 or field[0] != "stages" or below is None:
        return without(document, field)
    if isinstance(below.value, dict):
        return document
    stages = document.fields["stages"]
    return document.with_fields(
        {"stages": stages.with_fields({field[1]: replace(below, value={})})}
    )


def without(document: Node, steps: Sequence[str]) -> Node:
    """The document without the field at `steps`; items of lists by number, as text."""
    below = document.get(steps[0])
    if below is None:
        return document
    if document.items:
        if len(steps) == 1:
            return document  # a list with a hole in its numbering would be another list
        items = list(document.items)
        items[int(steps[0])] = without(below, steps[1:])
        return document.with_items(items)
    if len(steps) == 1:
        return document.with_fields({steps[0]: None})
    return document.with_fields({steps[0]: without(below, steps[1:])})


def _merged(document: Node, broken: Sequence[Steps]) -> dict[str, Merged]:
    stages, defaults = document.get("stages"), document.get("defaults")
    inherited = {steps[1] for steps in broken if steps[0] == "defaults" and len(steps) > 1}
    merged = {}
    for name, node in stages.fields.items() if stages is not None else ():
        own = {s[2] for s in broken if s[:2] == ("stages", name) and len(s) > 2}
        if ("stages", name) in broken and not node.fields:
            own = set(StageSpec.model_fields)
        merged[name] = merge_stage(name, node, defaults, own | inherited - set(node.fields))
    return merged


def _check(
    document: Node, stages: dict[str, Merged], report: Report, broken: Sequence[Steps]
) -> None:
    defaults, data = document.get("defaults"), document.get("data")
    if defaults is not None:
        check_defaults(defaults, report)
    if data is not None:
        check_data(data, list(stages.values()), report,
                   broken=any(steps[0] == "data" for steps in broken))  # fmt: skip
    for stage in stages.values():
        StageCheck(stage, report).run()
        check_model(stage, report)
    if ("stages",) not in broken and check_graph(document, stages, report):
        check_unrolled(document, stages, report)


def strip_dropped(document: Node, dropped: Sequence[Steps]) -> Node:
    """The document without fields that a hole's draw made idle (see `Report.dropped`)."""
    for steps in dropped:
        document = without(document, ("stages", *steps))
    return document
