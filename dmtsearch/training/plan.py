"""What a schedule would run: each stage with its model, shapes, hints and cost. Trains nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.schedule import Hint, Schedule, Stage
from dmtsearch.training.cost import StageCosts, epochs_with_targets
from dmtsearch.training.kind import StageKind


@dataclass(frozen=True)
class ResolvedHint:
    """A hint with both of its points found.

    Attributes:
        hint: As the schedule has it.
        source_path, at_path: Module paths in the source's and in the student's model.
        source_shape, at_shape: Shapes of the two taps, without the batch; maps as [C, H, W].
        adapter: What joins them, in words.
        source_last, at_last: Whether the model holds this map as [H, W, C].
    """

    hint: Hint
    source_path: str
    at_path: str
    source_shape: tuple[int, ...]
    at_shape: tuple[int, ...]
    adapter: str
    source_last: bool = False
    at_last: bool = False


@dataclass(frozen=True)
class ResolvedStage:
    """A stage that can run as it stands.

    Attributes:
        stage: The stage with every default filled in.
        model: Its model as plain data, with `size` as widths.
        in_shape: What the model reads, without the batch: (C, H, W) or (features,).
        num_classes: Width of its output.
        params: Trainable parameters.
        macs: Multiply-accumulates of one sample's forward pass.
        hint_macs: The same, up to its last hint point; 0 without hints.
        source_macs: Of each stage that it learns from or whose outputs it reads, in order, as
            far as it reads it.
        hints: Its hints, resolved.
        kind: What sets its kind of stage apart.
        num_samples: In the split that it learns from, or None while the data is out of reach.
    """

    stage: Stage
    model: Mapping[str, Any]
    in_shape: tuple[int, ...]
    num_classes: int
    params: int
    macs: int
    hint_macs: int
    source_macs: tuple[int, ...]
    hints: tuple[ResolvedHint, ...]
    kind: StageKind
    num_samples: int | None

    @property
    def name(self) -> str:
        return self.stage.name

    def costs(self) -> StageCosts:
        """Its cold cost by what it is spent on; 0 while the size of its split is not known."""
        return self.kind.costs(self, self.num_samples or 0)

    def cost(self, num_samples: int | None = None) -> int:
        """Cold cost in sample-MACs for all its epochs (docs/schedule.md, "Cold cost").

        Args:
            num_samples: In the split that it learns from; its own number if None.
        """
        costs = self.costs() if num_samples is None else self.kind.costs(self, num_samples)
        phase = self.stage.hint_phase
        return costs.cold(self.stage.epochs, phase.epochs if phase else 0)

    def passes(self) -> int:
        """How often each source runs over the training split."""
        stage = self.stage
        if not stage.sources:
            return 0
        if stage.augment == "none":
            return 1
        hints_alone = stage.hint_phase.epochs if stage.hint_phase else 0
        with_soft = epochs_with_targets(stage.epochs, stage.soft.until) if stage.soft else 0
        beside = stage.epochs if hints_stay(stage) else with_soft
        return hints_alone + beside


def hints_stay(stage: Stage) -> bool:
    """Whether the training proper has hint losses: no phase of their own, or one that stays."""
    return bool(stage.hints) and (stage.hint_phase is None or stage.hint_phase.then == "stay")


@dataclass(frozen=True)
class Plan:
    """A schedule whose every stage can run.

    Attributes:
        schedule: As the user wrote it.
        name, seed: Of the schedule.
        stages: In the order in which they run.
        deliver: Name of the stage whose model is the result.
        num_train: Samples in the training split, or None while the data is out of reach.
        warnings: What is allowed but should be known.
    """

    schedule: Schedule
    name: str
    seed: int
    stages: tuple[ResolvedStage, ...]
    deliver: str
    num_train: int | None
    warnings: tuple[str, ...]

    def stage(self, name: str) -> ResolvedStage:
        """The stage called `name`."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def params(self) -> int:
        """Trainable parameters of what is delivered, with the stages whose outputs it reads."""
        return sum(stage.params for stage in self._delivered())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one answer of what is delivered, likewise."""
        return sum(stage.macs for stage in self._delivered())

    def _delivered(self) -> list[ResolvedStage]:
        last = self.stage(self.deliver)
        read = [one.stage for one in last.stage.reads if one.use == "outputs"]
        return [last, *(self.stage(name) for name in read)]
