"""A schedule S as the recipes of control arms look at it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dmtsearch.schedule import Expanded, Soft, SourceRef, Stage, Switch


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


class ScheduleView:
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
        if self.last.select is not None:
            raise CannotHaveError("the delivered stage is a selector")
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
