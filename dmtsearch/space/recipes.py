"""The control arms, each a row: how it is made from a schedule S, and what it is in words.

M is S's delivered model, E its epochs with the hint phase, C the schedule's cold cost. Only the
table knows the names: a space's check, the JSON Schema, reports and the documentation read it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from dmtsearch.schedule import (
    SIZED_FAMILIES,
    Dkd,
    Hint,
    HintPhase,
    Soft,
    SourceRef,
    Switch,
    read_model,
)

from .reversed_hints import hint_reversed
from .schedule_view import CannotHaveError, Made, ScheduleView
from .untrained import hint_untrained, random_teacher

LONGEST = 20
"""An arm of equal cost trains at most so many times E."""


def _scratch(view: ScheduleView) -> Made:
    return [view.bare()], False


def _scratch_long(view: ScheduleView) -> Made:
    # 3 M epochs = C, per sample.
    epochs, capped = _equal_cost(view, view.costs.path / (3 * view.costs.delivered))
    return [replace(view.bare(), epochs=epochs)], capped


def _direct(view: ScheduleView) -> Made:
    return [view.first, view.taught(view.first)], False


def _direct_long(view: ScheduleView) -> Made:
    # first + 3 M epochs + one pass of the first model (or one an epoch, where it augments) = C.
    student = view.taught(view.first)
    left = view.costs.path - view.costs.first_path
    if student.augment == "none":
        epochs = (left - view.costs.first) / (3 * view.costs.delivered)
    else:
        epochs = left / (3 * view.costs.delivered + view.costs.first)
    rounded, capped = _equal_cost(view, epochs)
    return [view.first, replace(student, epochs=rounded)], capped


def _equal_cost(view: ScheduleView, epochs: float) -> tuple[int, bool]:
    longest = LONGEST * view.epochs
    return min(max(1, round(epochs)), longest), round(epochs) > longest


def _direct_standardised(view: ScheduleView) -> Made:
    student = view.taught(view.first)
    return [view.first, replace(student, soft=replace(view.soft, standardise=True))], False


def _direct_dkd(view: ScheduleView) -> Made:
    soft = view.soft
    if not isinstance(soft, Dkd):
        common = {one.name: getattr(soft, one.name) for one in fields(Soft)}
        soft = Dkd(**common | {"loss": "dkd"})
    return [view.first, replace(view.taught(view.first), soft=soft)], False


def _assistant(view: ScheduleView) -> Made:
    first = view.first
    between = [
        stage
        for stage in view.whole.stages
        if stage.sources and stage.name != view.last.name and stage.select is None
    ]
    if between:
        assistant = between[0]
    else:
        last = view.last.model
        if not last.REPLACED:
            raise CannotHaveError(
                f"the schedule has no assistant, and a model of size .5 needs a family of sizes "
                f"({' or '.join(SIZED_FAMILIES)})"
            )
        fixed = (*last.REPLACED, "weights")
        model = {name: value for name, value in last.items() if name not in fixed}
        ends = [first.name, view.last.name]
        assistant = replace(
            view.last,
            name="assistant",
            model=read_model({**model, "size": {"at": 0.5, "between": ends}}),
        )
    phase = assistant.hint_phase
    softened = replace(
        assistant,
        sources=(SourceRef(first.name),),
        init=None,
        epochs=assistant.epochs + (phase.epochs if phase else 0),
        soft=replace(assistant.soft or view.soft, combine="mean", drop=0.0),
        merit=None,
        hints=(),
        hint_phase=None,
        switch=Switch(),
    )
    return [first, softened, view.taught(softened)], False


def _fitnet(view: ScheduleView) -> Made:
    first, student = view.first, view.taught(view.first)
    hinted = [stage for stage in view.whole.stages if stage.hints]
    if hinted:
        last = hinted[-1]
        hints = tuple(replace(hint, stage=first.name) for hint in last.hints)
        phase = last.hint_phase
        epochs = view.epochs - phase.epochs if phase else view.epochs
    else:
        hints = (Hint(0.5, 0.5, stage=first.name),)
        phase = HintPhase(max(1, view.epochs // 2))
        epochs = view.epochs - phase.epochs
    if epochs < 1:
        raise CannotHaveError(f"E is {view.epochs}: too few for a hint phase and soft targets")
    return [first, replace(student, hints=hints, hint_phase=phase, epochs=epochs)], False


def _merit(placebo: Literal["mean", "shuffle"]) -> Callable[[ScheduleView], Made]:
    def make(view: ScheduleView) -> Made:
        if not any(stage.merit for stage in view.whole.stages):
            raise CannotHaveError("the schedule has no merit")
        return [
            replace(stage, merit=replace(stage.merit, placebo=placebo)) if stage.merit else stage
            for stage in view.whole.stages
        ], False

    return make


@dataclass(frozen=True)
class Recipe:
    """A control arm as a row.

    Attributes:
        make: From S to the arm's stages, and whether equal cost is more than the arm may train.
        runs: What it runs, by S, M, E and C; a row of the documentation.
        words: The same for whoever reads a report and knows none of these.
        seeds: So many replicates, on one first model: the noise ruler.
        long: The arm that takes its place at equal cost; None of an arm that runs there too.
        placebo: Whether it is S but for one thing, so that it keeps S's epochs at equal cost.
    """

    make: Callable[[ScheduleView], Made]
    runs: str
    words: str
    seeds: int = 1
    long: str | None = None
    placebo: bool = False


RECIPES: Mapping[str, Recipe] = {
    "scratch": Recipe(
        _scratch,
        "M from labels for E epochs, with three seeds",
        "the delivered model from labels alone",
        seeds=3,
        long="scratch_long",
    ),
    "scratch_long": Recipe(
        _scratch_long,
        "the same, for as many epochs as cost C, at most 20 E",
        "the same, for as many epochs as cost what the anchor costs",
    ),
    "direct": Recipe(
        _direct,
        "the first stage, then M by the last soft settings for E epochs, no hints, no merit, with "
        "three seeds",
        "the first stage, then the delivered model by soft targets",
        seeds=3,
        long="direct_long",
    ),
    "direct_long": Recipe(
        _direct_long,
        "the same, for as many epochs as make the whole cost C, at most 20 E",
        "the same, at the anchor's cost",
    ),
    "direct_standardised": Recipe(
        _direct_standardised,
        "`direct` with `soft.standardise`",
        "direct with z-scored logits",
    ),
    "direct_dkd": Recipe(
        _direct_dkd,
        "`direct` with `soft.loss: dkd`, alpha 1 and beta 8",
        "direct with decoupled distillation (DKD) in place of KL",
    ),
    "assistant": Recipe(
        _assistant,
        "one assistant between first stage and M (S's first, else one of size 0.5), soft targets "
        "only",
        "one model in between, soft targets only",
    ),
    "fitnet": Recipe(
        _fitnet,
        "`direct` with hints first: those of S, else from middle to middle for half of E",
        "direct, with hints first",
    ),
    "hint_untrained": Recipe(
        hint_untrained,
        "S with its hints towards untrained copies of their sources",
        "placebo: the hints towards an untrained copy of their source",
        placebo=True,
    ),
    "hint_reversed": Recipe(
        hint_reversed,
        "S with each hint's source point mirrored in its model's list",
        "the hints at mirrored points",
    ),
    "merit_matched": Recipe(
        _merit("mean"),
        "S with `merit.placebo: mean`",
        "placebo: merit's mean weight for all samples",
        placebo=True,
    ),
    "merit_shuffled": Recipe(
        _merit("shuffle"),
        "S with `merit.placebo: shuffle`",
        "placebo: merit's weights given to other samples",
        placebo=True,
    ),
    "random_teacher": Recipe(
        random_teacher,
        "S with its first model untrained",
        "placebo: the first model untrained",
        placebo=True,
    ),
}
SHORT_ARMS = {name: recipe.long for name, recipe in RECIPES.items() if recipe.long is not None}
"""Arms that do not run at equal cost, each with the arm that takes its place."""
CONTROLS = ("default", "none", *RECIPES)
"""What `search.controls` may name."""
