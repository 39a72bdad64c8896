"""What runs: stages with every default filled in, as plain frozen values."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SourceRef:
    """A stage to learn from; with `epoch` (from 1), as it was after that many epochs."""

    stage: str
    epoch: int | None = None


@dataclass(frozen=True)
class Optimizer:
    """How weights move. Fields that the optimizer or rate schedule does not have are None."""

    name: str = "adamw"
    lr: float = 0.003
    weight_decay: float = 0.01
    momentum: float | None = None
    nesterov: bool | None = None
    betas: tuple[float, float] | None = (0.9, 0.999)
    eps: float | None = 1e-8
    schedule: str = "one_cycle"
    milestones: tuple[float, ...] | None = None
    gamma: float | None = None
    batch: int = 128
    drop_last: bool = True


@dataclass(frozen=True)
class Soft:
    """The loss towards the sources' softened outputs; `weight` is a of docs/schedule.md.

    Fields that another `loss` has are None.
    """

    temperature: float = 4.0
    weight: float = 0.5
    until: float = 1.0
    combine: str = "mean"
    drop: float = 0.0
    standardise: bool = False
    loss: str = "kl"
    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None


@dataclass(frozen=True)
class Hard:
    """The loss towards the labels; a `weight` of None is 1 - a."""

    weight: float | None = None
    smoothing: float = 0.0


@dataclass(frozen=True)
class Merit:
    """The rule that moves a per sample; `increment` is None for rules without one."""

    rule: str
    increment: float | None = None
    placebo: str = "none"


@dataclass(frozen=True)
class Adapter:
    """What joins a student's map to its source's."""

    kernel: int = 3
    norm: bool = True
    relu: bool = True


@dataclass(frozen=True)
class Hint:
    """A pair of points: in the source stage, and in this one (`at`)."""

    stage: str
    source: str | float
    at: str | float
    weight: float = 1.0
    adapter: Adapter = Adapter()
    scale: str = "none"
    loss: str = "mse"


@dataclass(frozen=True)
class HintPhase:
    """Epochs of hints alone, before the stage's own epochs."""

    epochs: int
    keep: str = "best"
    then: str = "stop"


@dataclass(frozen=True)
class Switch:
    """When a stage ends. Fields that belong to another rule are None."""

    when: str = "epochs"
    on: str | None = None
    patience: int | None = None
    min_delta: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Resources:
    """What a stage's task asks for; `memory` in bytes."""

    cpu: float = 1.0
    gpu: float = 0.0
    memory: int | None = None
    workers: int = 1
    label: str | None = None


@dataclass(frozen=True)
class Degrade:
    """A way to spoil a modality, with severities drawn from [low, high]."""

    kind: str
    low: float
    high: float


@dataclass(frozen=True)
class Select:
    """What a selector selects from, and how; `k` is None unless `inputs` is topk."""

    stages: tuple[str, ...]
    inputs: str = "topk"
    k: int | None = 5
    degrade: tuple[Degrade, ...] = (
        Degrade("noise", 0.1, 1.0),
        Degrade("occlusion", 0.1, 1.0),
    )
    target: str = "undegraded"
    decision: str = "hard"


@dataclass(frozen=True)
class StageInput:
    """What a stage reads of an earlier one.

    Attributes:
        stage: Name of the earlier one.
        use: `source`: it is learned from (a teacher); `init`: training goes on from its weights;
            `outputs`: its outputs are what is read, so that it is delivered with the stage.
        epoch: Of a source that is read as it was after that many epochs (from 1).
    """

    stage: str
    use: str
    epoch: int | None = None


@dataclass(frozen=True)
class Stage:
    """One model trained once, with nothing left to fill in but what its sizes and data decide.

    Attributes:
        name: Its name; of a copy, NAME_1, NAME_2, ...
        path: Document path of the stage as declared: `stages.assistant`; no part of equality.
        model: Plain data as in docs/schedule.md, defaults filled in; a relative `size` is
            {"at": s, "between": [start, end]}, an absolute one {"params": N}.
        sources: What it learns from; () from labels alone.
        init: The stage from whose weights it goes on, or None.
        epochs: Passes over train, at most; a hint phase comes before.
        seed: In place of the schedule's; None where they are one.
        amp: None where the device decides.
    """

    name: str
    path: str = field(compare=False)
    model: dict[str, Any]
    sources: tuple[SourceRef, ...] = ()
    init: str | None = None
    epochs: int = 20
    optimizer: Optimizer = Optimizer()
    keep: str = "last"
    soft: Soft | None = None
    hard: Hard = Hard()
    merit: Merit | None = None
    hints: tuple[Hint, ...] = ()
    hint_phase: HintPhase | None = None
    switch: Switch = Switch()
    augment: str = "none"
    modality: str | None = None
    seed: int | None = None
    resources: Resources = Resources()
    compile: bool = False
    amp: bool | None = None
    select: Select | None = None

    @property
    def kind(self) -> str:
        """Its row in `dmtsearch.stage_kinds`."""
        return "training" if self.select is None else "selector"

    @property
    def reads(self) -> tuple[StageInput, ...]:
        """What it reads of earlier stages, in order."""
        outputs = self.select.stages if self.select is not None else ()
        return (
            *(StageInput(source.stage, "source", source.epoch) for source in self.sources),
            *([StageInput(self.init, "init")] if self.init is not None else []),
            *(StageInput(name, "outputs") for name in outputs),
        )

    @property
    def learns_from(self) -> str:
        """Name of the split whose samples it learns from."""
        return "train" if self.select is None else "selector"

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what each of its epochs is measured by on val."""
        own = () if self.select is None else ("val_regret",)
        return ("val_accuracy", "val_nll", *own)


@dataclass(frozen=True)
class DataSpec:
    """What is learned from; counts or fractions by split, None where the default holds."""

    name: str | None = None
    factory: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    train: int | float | None = None
    val: int | float | None = None
    test: int | float | None = None
    selector: int | float | None = None
    split_seed: int = 0
    size: int | None = None
    mean: tuple[float, ...] | float | str | None = None
    std: tuple[float, ...] | float | str | None = None
    augment: str = "none"


@dataclass(frozen=True)
class Expanded:
    """A schedule with defaults merged, repeats written out and sizes linked.

    Attributes:
        stages: In the order in which they run.
        deliver: The stage whose weights are the result.
    """

    name: str
    seed: int
    data: DataSpec
    stages: tuple[Stage, ...]
    deliver: str

    def stage(self, name: str) -> Stage:
        """The stage called `name`."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def with_selector(self) -> bool:
        """Whether a stage learns from samples that are kept for selectors."""
        return any(stage.learns_from == "selector" for stage in self.stages)

    def needed(self) -> tuple[Stage, ...]:
        """The stages that the delivered one rests on, itself included, in order.

        Fewer than `stages` where a source has no effect: `soft: none` without hints.
        """
        wanted, todo = {self.deliver}, [self.deliver]
        while todo:
            stage = self.stage(todo.pop())
            read = [one.stage for one in stage.reads]
            todo += [name for name in read if name not in wanted]
            wanted |= set(read)
        return tuple(stage for stage in self.stages if stage.name in wanted)
