"""Text to schedule: read, inherit, unroll, validate once, and report every problem at once."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from .graph import check_data, check_graph, check_unrolled, unread_stages
from .holes import find_holes
from .inherit import Chains, PlainStage, inherit, is_relative, size_ends, source_names
from .places import Lines, Path, get, put, without
from .problems import ProblemReport, show
from .rules import check_defaults, check_stage
from .schedule import Schedule
from .stage import STAGE_ORDER, ScheduleFields, Stage
from .unroll import Copies, unroll
from .wording import add_errors, add_unknown
from .yaml import parse_document, read_document

_DEPTH = re.compile(r"[01]?\.[0-9]+")


def load_schedule(path: str | FilePath) -> Schedule:
    """Return the schedule in the file at `path`.

    Raises:
        ScheduleError: The file cannot be read, is no schedule, or cannot run as written; carries
            every problem, each with file and line.
    """
    document, lines = read_document(path)
    return check_document(document, Lines(str(path), lines))


def parse_schedule(text: str | bytes, where: str = "<text>") -> Schedule:
    """Return the schedule in `text`; `where` is what errors call it (a file's path)."""
    document, lines = parse_document(text, where)
    return check_document(document, Lines(where, lines))


def check_document(document: dict[str, Any], lines: Lines) -> Schedule:
    """Return the schedule in a document without holes; see `load_schedule`."""
    report = ProblemReport(lines)
    refuse_holes(document, report)
    report.finish()
    reading = read(document, report)
    report.finish()
    if reading.schedule is None:
        raise AssertionError("a document without problems makes a schedule")
    return reading.schedule


def refuse_holes(document: dict[str, Any], report: ProblemReport) -> None:
    """Report what makes a document a search space; the rest is reported when it is read as one."""
    advice = "this is a search space; load it as one (`dmtsearch search`), or fill it"
    if "search" in document:
        report.add(("search",), f"a schedule has no search block: {advice}")
        return
    for path, hole in find_holes(document):
        report.add(path, f"is a hole, {show(hole)}: {advice}")


@dataclass(frozen=True)
class Reading:
    """A document that was read.

    Attributes:
        schedule: None where there are problems.
        stages: Each stage as plain data, repeats written out.
    """

    schedule: Schedule | None
    stages: Mapping[str, PlainStage]


def read(
    document: dict[str, Any],
    report: ProblemReport,
    *,
    copies: Copies | None = None,
    known: Sequence[Path] = (),
) -> Reading:
    """Read a document without holes; problems go to `report`.

    Args:
        document: Plain data.
        report: Takes the problems.
        copies: The copies of stages with `repeat`, where they differ from each other.
        known: Fields that were left out of the document since they are known to be broken.
    """
    if "name" not in document:
        stem = FilePath(report.where).stem if report.where != "<text>" else "schedule"
        document = {**document, "name": stem or "schedule"}
    unrolled, report.lines = unroll(document, report.lines, copies)
    declared = report.lines.declared
    if copies is not None:
        document = unrolled  # copies of their own are what is checked
    broken = [*known, *_report_strangers(document, report)]
    if broken:
        document, unrolled = (_pruned(one, broken, declared) for one in (document, unrolled))
    stages = _stages(unrolled, report.lines)
    plain = stages if unrolled is document else _stages(document, report.lines)
    copied = set(declared.values())
    removed = {n: stage for n, stage in plain.items() if n not in stages and n not in copied}
    checked = {**document, **_deliver(unrolled)}
    if isinstance(unrolled.get("stages"), dict):
        checked["stages"] = _checked(unrolled, stages) | _checked(document, removed)
    fields: ScheduleFields | None = None
    failed: ValidationError | None = None
    try:
        fields = ScheduleFields.model_validate(_linked(checked, stages, report.lines))
    except ValidationError as error:
        failed = error
        found = add_errors(report, error, checked, absent=known)
        broken += [_declared(path, declared) for path in found]
    if broken:
        document, unrolled = (_pruned(one, broken, declared) for one in (document, unrolled))
        stages = _stages(unrolled, report.lines, broken)
        plain = _stages(document, report.lines, broken)
    _check(document, plain, unrolled, stages, report, broken)
    if failed is not None and not report.problems and not known:
        add_errors(report, failed, checked, every=True)  # what no rule has said in its own words
    if fields is None or report.problems:
        return Reading(None, stages)
    own = {name: stage.own for name, stage in plain.items()}
    deliver = fields.deliver or unread_stages(list(stages.values()))[-1]
    schedule = Schedule.of(
        fields,
        stages={n: _without(fields.stages[n], stage.dropped) for n, stage in stages.items()},
        deliver=deliver,
        document={**document, "stages": own},
        lines=report.lines,
        warnings=report.warnings,
    )
    return Reading(schedule, stages)


def _without(stage: Stage, dropped: Sequence[Path]) -> Stage:
    """The stage with blocks at their defaults that a draw left without effect."""
    names = {("sources" if path[0] == "source" else path[0]) for path in dropped if len(path) == 1}
    usual: Any = {one.name: one.default for one in fields_of(stage) if one.name in names}
    return replace(stage, **usual) if usual else stage


def _deliver(unrolled: Mapping[str, Any]) -> dict[str, Any]:
    return {"deliver": unrolled["deliver"]} if "deliver" in unrolled else {}


def _stages(
    document: Mapping[str, Any], lines: Lines, broken: Sequence[Path] = ()
) -> dict[str, PlainStage]:
    """Each stage of a document with what it inherits."""
    stages, defaults = document.get("stages"), document.get("defaults")
    if not isinstance(stages, dict):
        return {}
    found = {}
    of_defaults = {str(path[1]) for path in broken if path[0] == "defaults" and len(path) > 1}
    for name, own in stages.items():
        stage = inherit(name, own, defaults, lines)
        if broken:
            called = lines.declared.get(name, name)
            mine = {str(p[2]) for p in broken if p[:2] == ("stages", called) and len(p) > 2}
            if ("stages", called) in broken and not stage.own:
                mine = set(STAGE_ORDER)
            names = mine | (of_defaults - set(stage.own))
            stage = replace(stage, broken=frozenset(names))
        found[name] = stage
    return found


def _check(
    document: Mapping[str, Any],
    stages: Mapping[str, PlainStage],
    unrolled: Mapping[str, Any],
    copies: Mapping[str, PlainStage],
    report: ProblemReport,
    broken: Sequence[Path],
) -> None:
    defaults, data = document.get("defaults"), document.get("data")
    if isinstance(defaults, dict):
        check_defaults(defaults, report)
    if isinstance(data, dict) and not any(path[0] == "data" for path in broken):
        check_data(data, stages, report)
    for stage in stages.values():
        check_stage(stage, report)
    if ("stages",) not in broken and check_graph(document, stages, report):
        check_unrolled(unrolled, copies, stages, report)


# -- what is not right in itself ----------------------------------------------------------------


def _report_strangers(document: dict[str, Any], report: ProblemReport) -> list[Path]:
    """Report values that are empty, and fields that only reading fills in."""
    broken = []
    for path in _nulls(document):
        rule = "is empty; write a value, `none` to switch it off, or drop the line"
        report.add(path, rule)
        broken.append(_declared(path, report.lines.declared))
    stages = document.get("stages")
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        for path in _filled_in(stage, ("stages", name)):
            add_unknown(report, document, path)
            broken.append(_declared(path, report.lines.declared))
    for path in _filled_in(document.get("defaults"), ("defaults",)):
        add_unknown(report, document, path)
        broken.append(path)
    return broken


def _nulls(document: dict[str, Any]) -> list[Path]:
    found: list[Path] = []
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if value is None:
            found.append(path)
        elif isinstance(value, dict):
            waiting += [((*path, name), v) for name, v in value.items() if name != "args"]
        elif isinstance(value, list):
            waiting += [((*path, index), v) for index, v in enumerate(value)]
    return found


_OF_STAGES = ("name", "path", "copy_of", "fold", "judges", "sources", "stages")
"""Names of a stage's fields that only Python uses; so is `stage` of a hint."""


def _filled_in(stage: Any, at: Path) -> Iterator[Path]:
    if not isinstance(stage, dict):
        return
    yield from ((*at, name) for name in _OF_STAGES if stage.get(name) is not None)
    hints = stage.get("hints")
    for index, hint in enumerate(hints if isinstance(hints, list) else ()):
        if isinstance(hint, dict) and "stage" in hint:
            yield (*at, "hints", index, "stage")


def _declared(path: Path, declared: Mapping[str, str]) -> Path:
    if len(path) > 1 and path[0] == "stages":
        return ("stages", declared.get(str(path[1]), str(path[1])), *path[2:])
    return path


def _field_of(path: Path) -> Path:
    """The field of a stage, of `data` or of the document in which something is broken."""
    return path[: 3 if path[0] == "stages" else 2 if path[0] in ("defaults", "data") else 1]


def _pruned(
    document: dict[str, Any], broken: Iterable[Path], declared: Mapping[str, str]
) -> dict[str, Any]:
    """The document without broken fields; a stage keeps its place, for those who name it."""
    for path in broken:
        at = _field_of(path) if path else path
        if not at:
            continue
        stages = document.get("stages")
        names = [at[1]] if len(at) > 1 else []
        if at[0] == "stages" and len(at) > 1 and isinstance(stages, dict):
            names = [name for name in stages if declared.get(name, name) == at[1]]
        for place in [(at[0], name, *at[2:]) for name in names] or [at]:
            if len(place) != 2 or place[0] != "stages":
                document = without(document, place)
            elif not isinstance(get(document, place), dict) and isinstance(stages, dict):
                document = put(document, place, {})
    return document


# -- links --------------------------------------------------------------------------------------


def _checked(document: Mapping[str, Any], stages: Mapping[str, PlainStage]) -> dict[str, Any]:
    """What is validated of the stages: of one that is not even fields, what it is."""
    own = document["stages"]
    return {
        name: stage.checked if isinstance(own[name], dict) else own[name]
        for name, stage in stages.items()
    }


def _linked(
    document: dict[str, Any], stages: Mapping[str, PlainStage], lines: Lines
) -> dict[str, Any]:
    """The document with what stages mean by each other's names."""
    if not isinstance(document.get("stages"), dict):
        return {name: value for name, value in document.items() if value is not None}
    every = list(stages.values())
    chains = Chains(every) if any(is_relative(stage) for stage in every) else None
    augment = get(document, ("data", "augment"))
    linked = dict(document["stages"])
    for index, stage in enumerate(every):
        value = document["stages"][stage.name]
        if isinstance(value, dict):
            names = source_names(stage, every[:index])
            earlier = [other.name for other in every[:index]]
            value = _with_links(stage, value, names, earlier, chains)
            if augment == "crop_flip" and not stage.is_select:
                value.setdefault("augment", augment)
            called = lines.declared.get(stage.name, stage.name)
            value |= {"name": stage.name, "path": f"stages.{called}"}
        linked[stage.name] = value
    return {**document, "stages": linked}


def _with_links(
    stage: PlainStage,
    value: dict[str, Any],
    names: Sequence[str],
    earlier: Sequence[str],
    chains: Chains | None,
) -> dict[str, Any]:
    value = dict(value)
    if stage.learns_from_all:
        value["source"] = list(names)
    if names and "soft" not in value:
        value["soft"] = {}
    if isinstance(value.get("hints"), list):
        value["hints"] = [_hint(hint, names, earlier) for hint in value["hints"]]
    size, ends_of = stage.get("model", "size"), stage.get("model", "size", "between")
    if isinstance(ends_of, list) and "" in ends_of:
        # An end that a repeat removed: a rule says so.
        value["model"] = without(value["model"], ("size", "between"))
    elif chains is not None and is_relative(stage) and isinstance(value.get("model"), dict):
        ends = size_ends(stage, chains) if _two(ends_of) else ""
        at = get(size, ("at",)) if isinstance(size, dict) else size
        if isinstance(ends, tuple) and isinstance(at, int | float):
            value["model"] = {**value["model"], "size": {"at": at, "between": list(ends)}}
    return value


def _two(between: Any) -> bool:
    return between is None or (isinstance(between, list) and len(between) == 2)


def _hint(hint: Any, names: Sequence[str], earlier: Sequence[str]) -> Any:
    if not isinstance(hint, dict) or "source" not in hint or not names:
        return hint
    stage, point = split_point(hint["source"], [*names, *earlier])
    return {**hint, "stage": stage, "source": point}


def split_point(source: Any, names: Sequence[str]) -> tuple[str, Any]:
    """Return the stage and the point that a hint's `source` means.

    `STAGE.POINT` where the text begins with one of `names` (the stage's sources and all earlier
    stages), else a point of the first of them. `teacher.0.5` is the depth 0.5 in the teacher, not
    its module `0.5`.
    """
    if isinstance(source, str):
        stage, _, point = source.partition(".")
        if point and stage in names:
            return stage, float(point) if _DEPTH.fullmatch(point) else point
    return names[0], source
