"""What is wrong with a space, and what should be known of it: its holes and its search block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, SearchSpec, expand, first_model
from dmtsearch.schedule.places import walk
from dmtsearch.schedule.problems import ProblemReport, either
from dmtsearch.schedule.wording import add_errors

from .choosing import anchor_values, complete, draw_values
from .hole import Hole, Value
from .recipes import CONTROLS, SHORT_ARMS
from .template import Template

Fill = Callable[[Template, Mapping[str, Value], ProblemReport], Schedule | None]
OTHER_TRIES = 20
ALL_TRIES = 2_000
"""Of all alternatives together, so that a long choice is checked in seconds."""

# -- every alternative of every hole in its place: tried in the anchor, one at a time -----------


def check_alternatives(template: Template, report: ProblemReport, fill: Fill) -> Schedule | None:
    """Report what is wrong with the anchor, and with each alternative or bound put into it.

    An alternative that does not go with the anchor's other values, but with others, is only
    warned about: a search draws again where values do not go together.

    Returns:
        The anchor; None where there are problems.
    """
    anchor = _try(template, anchor_values(template), report, fill)
    anchored = list(report.problems)
    num_values = sum(len(_extremes(hole)) for hole in template.holes.values())
    tries = max(1, min(OTHER_TRIES, ALL_TRIES // max(1, num_values)))
    for hole in template.holes.values():
        for value in _extremes(hole):
            found = ProblemReport(report.lines)
            _try(template, _with(template, hole, value), found, fill)
            new = [problem for problem in found.problems if problem not in anchored]
            if not new:
                continue
            if not anchored and _goes_with_others(template, hole, value, report, fill, tries):
                report.warn(
                    hole.place,
                    f"{value} does not go with every value of the other holes (such draws are "
                    f"drawn again): {new[0]}",
                )
                continue
            for problem in new:
                report.add_sentence(problem)
    return anchor


def _try(
    template: Template, values: Mapping[str, Value], report: ProblemReport, fill: Fill
) -> Schedule | None:
    try:
        return fill(template, values, report)
    except ScheduleError as error:
        for problem in error.problems:
            report.add_sentence(problem)
        return None


def _extremes(hole: Hole) -> tuple[Value, ...]:
    """All alternatives of a choice; the bounds of a range, between which all is alike."""
    if hole.kind == "choice":
        return hole.choices
    if hole.low is None or hole.high is None:
        raise AssertionError("a range has bounds")
    return (hole.low, hole.high)


def _with(template: Template, hole: Hole, value: Value) -> dict[str, Value]:
    """The anchor with `value` in `hole`, and in the holes above it what makes it active."""
    return complete(template, {**_above(template, hole), hole.name: value})


def _above(template: Template, hole: Hole) -> dict[str, Value]:
    above: dict[str, Value] = {}
    condition = hole.condition
    while condition is not None:
        above[condition.hole] = condition.values[0]
        condition = template.holes[condition.hole].condition
    return above


def _goes_with_others(
    template: Template, hole: Hole, value: Value, report: ProblemReport, fill: Fill, tries: int
) -> bool:
    needed = {**_above(template, hole), hole.name: value}
    for seed in range(tries):
        drawn = draw_values(template, seed)
        found = ProblemReport(report.lines)
        _try(template, complete(template, {**drawn, **needed}), found, fill)
        if not found.problems:
            return True
    return False


# -- what should be known -----------------------------------------------------------------------


def find_notes(template: Template, anchor: Schedule, report: ProblemReport) -> list[str]:
    """Return the notes on a valid space, after what its check has warned about."""
    delivered = _delivered(template, anchor)
    for hole in template.holes.values():
        at = hole.place
        stage = hole.path.split(".")[1] if hole.path.startswith("stages.") else None
        if hole.is_continuous and stage is None:
            report.warn(
                at, "is continuous, for every stage that inherits it, so trials share no stage; "
                "a step makes sharing possible"
            )  # fmt: skip
        elif hole.is_continuous and stage != delivered:
            report.warn(
                at,
                f"is continuous in the early stage {stage!r}, so no two trials share that stage "
                "or what follows; a step makes sharing possible",
            )
        if _is_single(hole):
            report.warn(at, "has one value only; write the value in place of the hole")
    return report.warnings


def _is_single(hole: Hole) -> bool:
    return not hole.is_continuous and len(hole) == 1


def _delivered(template: Template, anchor: Schedule) -> str:
    """The declared name of the stage that a search is about."""
    last = str(template.document.get("deliver", anchor.deliver))
    stages = template.document["stages"]
    stem = last.rpartition("_")[0]
    return stem if stem in stages and last not in stages else last


# -- the `search:` block ------------------------------------------------------------------------


def read_search(search: Any, template: Template, report: ProblemReport) -> SearchSpec:
    """Return the block with its defaults; problems go to `report`.

    A space without the block is searched by the defaults.
    """
    if search is None:
        return SearchSpec()
    if not isinstance(search, dict):
        rule = f"must be fields ({', '.join(SearchSpec.model_fields)})"
        report.add(("search",), rule, search)
        return SearchSpec()
    for name in [name for name, value in search.items() if value is None]:
        report.add(("search", name), "is empty; write a value or drop the line")
    search = {name: value for name, value in search.items() if value is not None}
    try:
        spec = SearchSpec.model_validate(search)
    except ValidationError as error:
        add_errors(report, error, {"search": search}, under=("search",))
        return SearchSpec()
    _check_search(search, spec, template, report)
    return spec


def _check_search(
    search: Mapping[str, Any], spec: SearchSpec, template: Template, report: ProblemReport
) -> None:
    if spec.pruner is not None and len(spec.objectives) > 1:
        report.add(
            ("search", "pruner"),
            f"a pruner needs a single objective, and there are {len(spec.objectives)}; write "
            "pruner: none",
        )
    if spec.sampler == "grid":
        for hole in template.holes.values():
            if hole.is_continuous:
                report.add(hole.place, "a grid needs a step here; this hole is continuous")
    for name, bound in spec.constraints.items():
        at = ("search", "constraints", name)
        if bound.min is None and bound.max is None:
            report.add(at, "must have min or max", search["constraints"][name])
        elif bound.min is not None and bound.max is not None and bound.min > bound.max:
            report.add(at, f"must have min <= max, got {bound.min:g} > {bound.max:g}")
    for index, arm in enumerate(spec.controls):
        if arm not in CONTROLS:
            rule = f"must be {either(CONTROLS)}"
            report.add(("search", "controls", index), rule, arm, names=CONTROLS)
    if spec.equal_cost is not False:
        _check_equal_cost(spec, template, report)
    if len(set(spec.controls)) < len(spec.controls):
        report.add(("search", "controls"), "names an arm twice", search["controls"])


def check_first_model(spec: SearchSpec, anchor: Schedule, report: ProblemReport) -> None:
    """Refuse `first_model: trained`, written out, of a first model that is not trained here."""
    if spec.first_model == "given" or "first_model" not in spec.model_fields_set:
        return
    first = first_model(expand(anchor))
    if first is not None and not anchor.stages[first].epochs:
        report.add(
            ("search", "first_model"),
            f"the first model {first!r} has 0 epochs, so that what its training cost is not "
            "known; write given",
        )


def _check_equal_cost(spec: SearchSpec, template: Template, report: ProblemReport) -> None:
    for block in ("objectives", "constraints"):
        if "cold_cost" in getattr(spec, block):
            report.add(
                ("search", block, "cold_cost"),
                "says nothing beside equal_cost, by which every trial costs about the same; drop "
                "one of the two",
            )
    stages = template.document.get("stages")
    if any("select" in stage for _, stage in walk(stages) if isinstance(stage, dict)):
        report.add(
            ("search", "equal_cost"),
            "has no meaning for selectors, which are compared otherwise: with every rule on the "
            "same outputs but the oracle, with each modality alone, and with the trials that are "
            "best by max-softmax and by the sum rule; write equal_cost: false",
        )
    for name in dict.fromkeys(name for name in spec.controls if name in SHORT_ARMS):
        report.add(
            ("search", "controls"),
            f"the arm {name} does not run under equal_cost, where {SHORT_ARMS[name]} takes its "
            f"place; write {SHORT_ARMS[name]}",
        )
