"""One-factor variants of a confirmed schedule, from which a confirmation explains it.

Each changes one thing that the schedule uses. A number goes to two neighbouring values: of its
hole where the space searches it (`searched_variants`), else some steps up and down.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dmtsearch.errors import DmtSearchError, ScheduleError
from dmtsearch.schedule import (
    SIZED_FAMILIES,
    Accuracy,
    Delta,
    Expanded,
    Plateau,
    Schedule,
    SourceRef,
    Stage,
    Switch,
    as_schedule,
    expand,
    read_model,
)
from dmtsearch.space import RECIPES, CannotHaveError, Space, placebo_within

from .confirm_arms import AtCost, view_of
from .messages import Prepare
from .searched_variants import Place, searched_variants

SELECTOR_DIMENSIONS = ("paper", "inputs", "k", "hidden", "target", "decision")
"""Those of a selector; `paper` is the selector of the paper: topk, undegraded, hard."""
DIMENSIONS = (
    *("middle_models", "sizes", "sources", "hints", "hint_points", "merit", "soft", "switch"),
    *("until", *SELECTOR_DIMENSIONS),
)
"""What `--vary` takes."""
_STEP = 0.2
"""To neighbouring relative sizes, depths of a hint and values of `until`."""
_FACTORS = (0.5, 2.0)
"""To neighbouring increments and patiences that the space does not search."""
_WIDTHS = (0.75, 4 / 3)
"""To neighbouring sizes of a model that has widths of its own."""


@dataclass(frozen=True)
class Variant:
    """The chosen schedule with one thing changed.

    Attributes:
        dimension: One of `DIMENSIONS`.
        name: What is changed.
        schedule: At the cost of the others; of a placebo, with their epochs.
    """

    dimension: str
    name: str
    schedule: Schedule


@dataclass(frozen=True)
class ChosenPath:
    """A chosen schedule and where it comes from.

    Attributes:
        schedule: Of replicates, at equal cost.
        space: The run's.
        values: With which its holes were filled.
        at_cost: Makes any schedule one of replicates, at the same cost.
        prepare: Resolves a schedule.
        points: Names of the hint points that a stage's model lists, shallow to deep.
    """

    schedule: Schedule
    space: Space
    values: Mapping[str, Any]
    at_cost: AtCost
    prepare: Prepare
    points: Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class _Change:
    """Other stages.

    Attributes:
        at: Of a step that a hole's own neighbours replace: where the value stands.
        placebo: Whether the stages keep their epochs.
    """

    dimension: str
    name: str
    stages: Sequence[Stage]
    at: Place | None = None
    placebo: bool = False


def variants_of(path: ChosenPath, dimensions: Sequence[str]) -> tuple[Variant, ...]:
    """Return one-factor variants of a chosen schedule, each of another result and equal size.

    Args:
        path: The chosen schedule.
        dimensions: Of `DIMENSIONS`; those that the schedule does not use give no variant.
    """
    chosen = path.prepare(path.schedule)
    found: list[Variant] = []
    known = {chosen.key}
    for dimension, name, make in _all_variants(path):
        if dimension not in dimensions:
            continue
        try:
            made = make()
            prepared = path.prepare(made)
        except DmtSearchError:
            continue
        same = (prepared.params, prepared.macs) == (chosen.params, chosen.macs)
        if same and prepared.key not in known:
            known.add(prepared.key)
            found.append(Variant(dimension, name, made))
    return tuple(sorted(found, key=lambda one: DIMENSIONS.index(one.dimension)))


def _all_variants(path: ChosenPath) -> Iterator[tuple[str, str, Callable[[], Schedule]]]:
    whole = expand(path.schedule)
    changes = list(_changes(whole, path.points))
    try:
        drawn = path.space.fill(path.values).lines.is_drawn
        searched = list(searched_variants(path.space, path.values, dimension_of))
    except ScheduleError:  # the run's space is not what it was
        drawn, searched = None, []
    for one in changes:
        if one.at is None:
            yield one.dimension, one.name, partial(_made, path, whole, one)
    for dimension, name, filled in searched:
        yield dimension, name, partial(path.at_cost, filled)
    for one in changes:
        if one.at is not None and not (drawn and drawn(("stages", *one.at))):
            yield one.dimension, one.name, partial(_made, path, whole, one)


def _made(path: ChosenPath, whole: Expanded, change: _Change) -> Schedule:
    made = as_schedule(replace(whole, name=change.name, stages=tuple(change.stages)))
    return placebo_within(made, path.at_cost) if change.placebo else path.at_cost(made)


def dimension_of(at: Place) -> str | None:
    """The dimension of a hole by where it stands in its stage; None of one that is not explained.

    How a stage trains (optimizer, epochs, augmentation) is no part of the transfer.
    """
    if at[0] == "soft":
        return "until" if at[1:] == ("until",) else "soft"
    if at[0] == "hints" and at[-1] in ("source", "at"):
        return "hint_points"
    return {
        "repeat": "middle_models",
        "model": "sizes",
        "source": "sources",
        "hints": "hints",
        "hint_phase": "hints",
        "merit": "merit",
        "switch": "switch",
    }.get(str(at[0]))


def _changes(whole: Expanded, points: Callable[[str], Sequence[str]]) -> Iterator[_Change]:
    last = whole.stage(whole.deliver)
    middle = [s for s in whole.stages if s.sources and s.name != last.name and not s.select]
    for stage in middle:
        yield _Change("middle_models", f"without {stage.name}", _without(whole, stage))
    if len(middle) > 1:
        left = whole
        for stage in middle:
            left = replace(left, stages=tuple(_without(left, stage)))
        yield _Change("middle_models", "no middle model", left.stages)
    for stage in middle:
        for words, at, model in _other_sizes(stage):
            put = _put(whole, stage, model=read_model(model))
            yield _Change("sizes", f"{stage.name} of {words}", put, at)
    yield from _hint_changes(whole, points)
    for stage in whole.stages:
        yield from _merit_changes(whole, stage)
        yield from _end_changes(whole, stage)


def _hint_changes(whole: Expanded, points: Callable[[str], Sequence[str]]) -> Iterator[_Change]:
    hinted = [stage for stage in whole.stages if stage.hints]
    bare: Any = {"hints": (), "hint_phase": None}
    for stage in hinted:
        yield _Change("hints", f"no hints at {stage.name}", _put(whole, stage, **bare))
    if len(hinted) > 1:
        yield _Change("hints", "no hints", [replace(s, **bare) for s in whole.stages])
    if hinted:
        try:
            stages, _ = RECIPES["hint_untrained"].make(view_of(whole, points))
            yield _Change("hints", "hint_untrained", stages, placebo=True)
        except CannotHaveError:
            pass
    for stage in hinted:
        for place, hint in enumerate(stage.hints):
            pair = f"{hint.stage}.{hint.source} to {stage.name}.{hint.at}"
            for end, name in (("source", hint.stage), ("at", stage.name)):
                other = _next_point(getattr(hint, end), points(name))
                if other is None:
                    continue
                change: Any = {end: other}
                hints = tuple(
                    replace(one, **change) if one is hint else one for one in stage.hints
                )
                yield _Change(
                    "hint_points",
                    f"hint {pair}: {'from' if end == 'source' else 'to'} {name}.{other}",
                    _put(whole, stage, hints=hints),
                    (stage.name, "hints", place, end),
                )


def _next_point(point: str | float, listed: Sequence[str]) -> str | float | None:
    """A hint point beside another, deeper where there is one; None of one that is not listed."""
    if not isinstance(point, str):
        return round(point + _STEP if point + _STEP <= 1 else point - _STEP, 3)
    if point not in listed or len(listed) < 2:
        return None
    at = list(listed).index(point)
    return listed[at + 1] if at + 1 < len(listed) else listed[at - 1]


def _merit_changes(whole: Expanded, stage: Stage) -> Iterator[_Change]:
    merit, name = stage.merit, stage.name
    if merit is None:
        return
    yield _Change("merit", f"no merit at {name}", _put(whole, stage, merit=None))
    placebos: tuple[tuple[str, Any], ...] = (("matched", "mean"), ("shuffled", "shuffle"))
    for words, placebo in placebos:
        put = _put(whole, stage, merit=replace(merit, placebo=placebo))
        yield _Change("merit", f"{words} merit at {name}", put, placebo=True)
    if merit.correctness == "folds":
        put = _put(whole, stage, merit=replace(merit, correctness="train"))
        at = (name, "merit", "from")
        yield _Change("merit", f"correctness from train at {name}", put, at)
    if isinstance(merit, Delta):
        for factor in _FACTORS:
            increment = round(merit.increment * factor, 4)
            put = _put(whole, stage, merit=replace(merit, increment=increment))
            at = (name, "merit", "increment")
            if abs(increment) <= 0.5:
                yield _Change("merit", f"increment {increment:g} at {name}", put, at)


def _end_changes(whole: Expanded, stage: Stage) -> Iterator[_Change]:
    switch, soft, name = stage.switch, stage.soft, stage.name
    if switch.when != "epochs":
        yield _Change("switch", f"{name} to its last epoch", _put(whole, stage, switch=Switch()))
    if isinstance(switch, Plateau):
        for factor in _FACTORS:
            patience = max(1, round(switch.patience * factor))
            put = _put(whole, stage, switch=replace(switch, patience=patience))
            at = (name, "switch", "patience")
            yield _Change("switch", f"patience {patience} at {name}", put, at)
    if isinstance(switch, Accuracy):
        for step in (-0.05, 0.05):
            least = round(switch.at_least + step, 4)
            put = _put(whole, stage, switch=replace(switch, at_least=least))
            at = (name, "switch", "at_least")
            if 0 < least < 1:
                yield _Change("switch", f"{name} ends at accuracy {least:g}", put, at)
    if soft is not None and soft.until < 1:
        whole_way = _put(whole, stage, soft=replace(soft, until=1.0))
        yield _Change("until", f"soft targets to the end of {name}", whole_way)
        for step in (-_STEP, _STEP):
            until = round(soft.until + step, 3)
            put = _put(whole, stage, soft=replace(soft, until=until))
            at = (name, "soft", "until")
            if 0 < until < 1:
                yield _Change("until", f"soft targets until {until:g} at {name}", put, at)


def _other_sizes(stage: Stage) -> Iterator[tuple[str, Place, dict[str, Any]]]:
    """Neighbouring sizes of a middle model: in words, where they stand, and the model."""
    model = stage.model
    size, widths = model.get("size"), model.get("widths")
    if model.get("family") not in SIZED_FAMILIES:
        return
    if isinstance(size, Mapping) and "at" in size:
        for at in (round(size["at"] - _STEP, 3), round(size["at"] + _STEP, 3)):
            if 0 < at < 1:
                place: Place = (stage.name, "model", "size")
                yield f"size {at:g}", place, {**model, "size": {**size, "at": at}}
    elif widths:
        for factor in _WIDTHS:
            other = [max(1, round(width * factor)) for width in widths]
            shown = ", ".join(map(str, other))
            yield f"widths {shown}", (stage.name, "model", "widths"), {**model, "widths": other}


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
