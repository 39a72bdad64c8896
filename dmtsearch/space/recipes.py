"""How each control arm is made from a schedule S: the rows of DESIGN.md's table 6.3.

M is S's delivered model, E its epochs with the hint phase, C the schedule's cold cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dmtsearch.schedule import Expanded, Hint, HintPhase, Soft, SourceRef, Stage, Switch

LONGEST = 20
"""An arm of equal cost trains at most so many times E."""
SIZABLE = ("plain", "resnet")


@dataclass(frozen=True)
class Costs:
    """What an arm of equal cost needs to know of S, in MACs of one sample's forward pass.

    Attributes:
        first: Of the first stage's model.
        delivered: Of the delivered model.
        path: C divided by the number of training samples: the whole path's cost of a sample.
        first_path: The same, of the first stage alone.
    """

    first: int
    delivered: int
    path: int
    first_path: int


class CannotHaveError(Exception):
    """Carries the reason why S has no such arm."""


class View:
    """S, as the arms look at it."""

    def __init__(
        self, whole: Expanded, costs: Costs, points: Callable[[str], Sequence[str]]
    ) -> None:
        self.whole, self.costs, self.points = whole, costs, points
        self.by_name = {stage.name: stage for stage in whole.stages}
        self.last = self.by_name[whole.deliver]

    @property
    def epochs(self) -> int:
        """E."""
        phase = self.last.hint_phase
        return self.last.epochs + (phase.epochs if phase else 0)

    @property
    def first(self) -> Stage:
        """The first stage of the path: the one that learns from labels alone."""
        if not self.last.sources:
            raise CannotHaveError("the schedule has no source: its delivered stage is its first")
        stage = self.last
        while stage.sources:
            stage = self.by_name[stage.sources[0].stage]
        return stage

    @property
    def soft(self) -> Soft:
        """The last soft settings of the schedule."""
        settings = [stage.soft for stage in self.whole.stages if stage.soft is not None]
        soft = self.last.soft or (settings[-1] if settings else Soft())
        return replace(soft, combine="mean", drop=0.0)

    def bare(self) -> Stage:
        """M from labels for E epochs."""
        if "at" in (self.last.model.get("size") or {}):
            raise CannotHaveError("the delivered model has a size relative to another stage")
        if self.last.select is not None:
            raise CannotHaveError("the delivered stage is a selector")
        return replace(
            self.last,
            sources=(),
            init=None,
            epochs=self.epochs,
            soft=None,
            merit=None,
            hints=(),
            hint_phase=None,
            hard=replace(self.last.hard, weight=None),
            switch=Switch(),
        )

    def taught(self, source: Stage) -> Stage:
        """M by the last soft settings from `source`; no hints, no merit; E epochs."""
        return replace(
            self.bare(), sources=(SourceRef(source.name),), soft=self.soft, hard=self.last.hard
        )


Made = tuple[Sequence[Stage], bool]


def _scratch(view: View) -> Made:
    return [view.bare()], False


def _scratch_long(view: View) -> Made:
    # 3 M epochs = C, per sample.
    epochs, capped = _equal_cost(view, view.costs.path / (3 * view.costs.delivered))
    return [replace(view.bare(), epochs=epochs)], capped


def _direct(view: View) -> Made:
    return [view.first, view.taught(view.first)], False


def _direct_long(view: View) -> Made:
    # first + 3 M epochs + one pass of the first model (or one an epoch, where it augments) = C.
    student = view.taught(view.first)
    left = view.costs.path - view.costs.first_path
    if student.augment == "none":
        epochs = (left - view.costs.first) / (3 * view.costs.delivered)
    else:
        epochs = left / (3 * view.costs.delivered + view.costs.first)
    rounded, capped = _equal_cost(view, epochs)
    return [view.first, replace(student, epochs=rounded)], capped


def _equal_cost(view: View, epochs: float) -> tuple[int, bool]:
    longest = LONGEST * view.epochs
    return min(max(1, round(epochs)), longest), round(epochs) > longest


def _direct_standardised(view: View) -> Made:
    student = view.taught(view.first)
    return [view.first, replace(student, soft=replace(view.soft, standardise=True))], False


def _assistant(view: View) -> Made:
    first = view.first
    between = [
        stage
        for stage in view.whole.stages
        if stage.sources and stage.name != view.last.name and stage.select is None
    ]
    if between:
        assistant = between[0]
    else:
        family = view.last.model.get("family")
        if family not in SIZABLE:
            raise CannotHaveError(
                f"the schedule has no assistant, and a model of size .5 needs a family of sizes "
                f"({' or '.join(SIZABLE)})"
            )
        fixed = ("widths", "base", "blocks", "weights")
        model = {name: value for name, value in view.last.model.items() if name not in fixed}
        if family == "resnet":
            model["blocks"] = view.last.model["blocks"]
        ends = [first.name, view.last.name]
        assistant = replace(
            view.last, name="assistant", model={**model, "size": {"at": 0.5, "between": ends}}
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


def _fitnet(view: View) -> Made:
    first, student = view.first, view.taught(view.first)
    hinted = [stage for stage in view.whole.stages if stage.hints]
    if hinted:
        last = hinted[-1]
        hints = tuple(replace(hint, stage=first.name) for hint in last.hints)
        phase = last.hint_phase
        epochs = view.epochs - phase.epochs if phase else view.epochs
    else:
        hints = (Hint(first.name, 0.5, 0.5),)
        phase = HintPhase(max(1, view.epochs // 2))
        epochs = view.epochs - phase.epochs
    if epochs < 1:
        raise CannotHaveError(f"E is {view.epochs}: too few for a hint phase and soft targets")
    return [first, replace(student, hints=hints, hint_phase=phase, epochs=epochs)], False


def _hint_reversed(view: View) -> Made:
    if not any(stage.hints for stage in view.whole.stages):
        raise CannotHaveError("the schedule has no hints")
    changed = False
    stages = []
    for stage in view.whole.stages:
        hints = tuple(_mirrored(hint, view.points) for hint in stage.hints)
        changed |= hints != stage.hints
        stages.append(replace(stage, hints=hints))
    if not changed:
        raise CannotHaveError(
            "each hint's source point is the middle of its model's list, so that mirroring "
            "changes nothing; hints towards an untrained copy are not a part of this version"
        )
    return stages, False


def _mirrored(hint: Hint, points: Callable[[str], Sequence[str]]) -> Hint:
    if not isinstance(hint.source, str):
        return replace(hint, source=1 - hint.source)
    listed = list(points(hint.stage))
    if hint.source not in listed:
        raise CannotHaveError(
            f"hint point {hint.stage}.{hint.source} is a module path, not one of its model's list"
        )
    return replace(hint, source=listed[-1 - listed.index(hint.source)])


def _best_direct(view: View) -> Made:
    raise CannotHaveError("it is chosen among a run's trials, by confirm")


def _merit(placebo: str) -> Callable[[View], Made]:
    def make(view: View) -> Made:
        if not any(stage.merit for stage in view.whole.stages):
            raise CannotHaveError("the schedule has no merit")
        return [
            replace(stage, merit=replace(stage.merit, placebo=placebo)) if stage.merit else stage
            for stage in view.whole.stages
        ], False

    return make


RECIPES: Mapping[str, Callable[[View], Made]] = {
    "scratch": _scratch,
    "scratch_long": _scratch_long,
    "direct": _direct,
    "direct_long": _direct_long,
    "direct_standardised": _direct_standardised,
    "best_direct": _best_direct,
    "assistant": _assistant,
    "fitnet": _fitnet,
    "hint_reversed": _hint_reversed,
    "merit_matched": _merit("mean"),
    "merit_shuffled": _merit("shuffle"),
}
