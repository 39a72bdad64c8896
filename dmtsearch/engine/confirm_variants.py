"""One-factor variants of a confirmed schedule, from which a confirmation explains it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dmtsearch.errors import ScheduleError, UsageError
from dmtsearch.schedule import (
    SIZED_FAMILIES,
    Expanded,
    Schedule,
    SourceRef,
    Stage,
    Switch,
    as_schedule,
    expand,
)

from .confirm_arms import AtCost
from .messages import Prepare

DIMENSIONS = ("middle_models", "sizes", "hints", "merit", "switch", "until")
_STEP = 0.2
"""To the neighbouring relative sizes."""


@dataclass(frozen=True)
class Variant:
    """The chosen schedule with one thing changed.

    Attributes:
        dimension: One of `DIMENSIONS`.
        name: What is changed.
        schedule: At the cost of the others.
    """

    dimension: str
    name: str
    schedule: Schedule


def variants_of(
    chosen: Schedule, at_cost: AtCost, prepare: Prepare, dimensions: Sequence[str]
) -> tuple[Variant, ...]:
    """Return one-factor variants of a chosen schedule, each at the same cost.

    Args:
        chosen: Of replicates.
        at_cost: Gives each the same cost.
        prepare: Resolves a schedule.
        dimensions: Of `DIMENSIONS`; those that the schedule does not use give no variant.
    """
    known = {prepare(chosen).key}
    found = []
    for dimension, name, stages in _all_variants(expand(chosen)):
        if dimension not in dimensions:
            continue
        try:
            whole = replace(expand(chosen), name=name, stages=tuple(stages))
            made = at_cost(as_schedule(whole))
            key = prepare(made).key
        except (ScheduleError, UsageError):
            continue
        if key not in known:
            known.add(key)
            found.append(Variant(dimension, name, made))
    return tuple(found)


def _all_variants(whole: Expanded) -> Iterator[tuple[str, str, Sequence[Stage]]]:
    last = whole.stage(whole.deliver)
    middle = [s for s in whole.stages if s.sources and s.name != last.name and not s.select]
    for stage in middle:
        yield "middle_models", f"without {stage.name}", _without(whole, stage)
    if len(middle) > 1:
        left = whole
        for stage in middle:
            left = replace(left, stages=tuple(_without(left, stage)))
        yield "middle_models", "no middle model", left.stages
    for stage in middle:
        for size in _neighbours(stage.model):
            model = {**stage.model, "size": size}
            yield "sizes", f"{stage.name} of size {_shown(size)}", _put(whole, stage, model=model)
    for stage in whole.stages:
        name = stage.name
        if stage.hints:
            bare = {"hints": (), "hint_phase": None}
            yield "hints", f"no hints at {name}", _put(whole, stage, **bare)
        if stage.merit is not None:
            yield "merit", f"no merit at {name}", _put(whole, stage, merit=None)
            matched = replace(stage.merit, placebo="mean")
            yield "merit", f"matched merit at {name}", _put(whole, stage, merit=matched)
            shuffled = replace(stage.merit, placebo="shuffle")
            yield "merit", f"shuffled merit at {name}", _put(whole, stage, merit=shuffled)
        if stage.switch.when != "epochs":
            yield "switch", f"{name} to its last epoch", _put(whole, stage, switch=Switch())
        if stage.soft is not None and stage.soft.until < 1:
            soft = replace(stage.soft, until=1.0)
            yield "until", f"soft targets to the end of {name}", _put(whole, stage, soft=soft)


def _neighbours(model: Mapping[str, Any]) -> Iterator[Any]:
    size = model.get("size")
    relative = size.get("at") if isinstance(size, Mapping) else size
    if model.get("family") not in SIZED_FAMILIES or not isinstance(relative, int | float):
        return
    for other in (round(relative - _STEP, 3), round(relative + _STEP, 3)):
        if 0 < other < 1:
            yield {**size, "at": other} if isinstance(size, Mapping) else other


def _shown(size: Any) -> str:
    return f"{size['at'] if isinstance(size, Mapping) else size:g}"


def _put(whole: Expanded, stage: Stage, **fields: Any) -> Sequence[Stage]:
    return [replace(s, **fields) if s.name == stage.name else s for s in whole.stages]


def _without(whole: Expanded, gone: Stage) -> Sequence[Stage]:
    """The stages without one whose readers learn from its sources; hints name the same points."""
    before = gone.sources[0].stage
    stages = []
    for stage in whole.stages:
        if stage.name == gone.name:
            continue
        sources: list[SourceRef] = []
        for ref in stage.sources:
            new = gone.sources if ref.stage == gone.name else (ref,)
            sources += [one for one in new if one.stage not in {s.stage for s in sources}]
        hints = tuple(
            replace(hint, stage=before) if hint.stage == gone.name else hint
            for hint in stage.hints
        )
        stages.append(replace(stage, sources=tuple(sources), hints=hints))
    return stages
