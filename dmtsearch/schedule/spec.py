"""A schedule as a user writes it: stages, data, and the whole (GRAMMAR.md section 2)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from .blocks import (
    DegradeSpec,
    HardSpec,
    HintPhaseSpec,
    HintSpec,
    MeritSpec,
    ModelSpec,
    OptimizerSpec,
    ResourcesSpec,
    SoftSpec,
    SwitchSpec,
)
from .forms import DATA_NAMES
from .values import (
    Args,
    Count,
    Factory,
    Mean,
    Spec,
    StageName,
    Std,
    Text,
    Truth,
    Whole,
    none_is_empty,
    none_word,
    refuse,
)

MAX_COPIES = 100


class SourceSpec(Spec):
    """A stage to learn from: as it ends, or as it was after `epoch` epochs."""

    stage: Text
    epoch: Count | None = None


def _sources(value: Any) -> Any:
    """`x`, `[x]`, `all`, `none` and `{stage: x, epoch: n}` as one list."""
    if value == "none" or value is None:
        return []
    items = value if isinstance(value, list | tuple) else [value]
    return [_source(item) for item in items]


def _source(item: Any) -> Any:
    if isinstance(item, str):
        return {"stage": item}
    if isinstance(item, dict | SourceSpec):
        return item
    raise refuse("must be a stage, a list of stages, all, none or {stage, epoch}")


Sources = Annotated[tuple[SourceSpec, ...], BeforeValidator(_sources)]


class StageSpec(Spec):
    """One model trained once. Fields that are not given come from `defaults`."""

    model: ModelSpec | None = None
    source: Sources | None = None
    init: Annotated[Text | None, BeforeValidator(none_word)] = None
    """A stage with the same model, from whose weights this one goes on."""
    modality: Annotated[Text | None, BeforeValidator(none_word)] = None
    repeat: Annotated[int, Field(ge=0, le=MAX_COPIES, strict=True)] | None = None
    """Number of copies, each learning from the one before; 0 removes the stage."""
    order: dict[str, Literal["increasing", "decreasing"]] | None = None
    select: tuple[Text, ...] | None = None
    """Stages with unlike modalities, of which this one selects."""
    inputs: Literal["topk", "posterior", "logits", "moments"] | None = None
    k: Count | None = None
    degrade: tuple[DegradeSpec, ...] | None = None
    target: Literal["undegraded", "right"] | None = None
    decision: Literal["hard", "soft"] | None = None
    epochs: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Passes over the training split; a hint phase comes before and is added."""
    optimizer: OptimizerSpec | None = None
    keep: Literal["best", "last"] | None = None
    soft: Annotated[SoftSpec | None, BeforeValidator(none_word)] = None
    hard: HardSpec | None = None
    merit: Annotated[MeritSpec | None, BeforeValidator(none_word)] = None
    hints: Annotated[tuple[HintSpec, ...], BeforeValidator(none_is_empty)] | None = None
    hint_phase: Annotated[HintPhaseSpec | None, BeforeValidator(none_word)] = None
    switch: SwitchSpec | None = None
    augment: Literal["none", "crop_flip"] | None = None
    seed: Annotated[int, Field(strict=True)] | None = None
    """In place of the schedule's: for replicates that share a first model."""
    resources: ResourcesSpec | None = None
    compile: Truth | None = None
    amp: Truth | None = None


def _share(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value <= 0 or (isinstance(value, float) and value >= 1):
        raise refuse("must be a count (a whole number >= 1) or a fraction between 0 and 1")
    return value


Share = Annotated[
    int | float,
    BeforeValidator(_share),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0}),
]


class DataFields(Spec):
    """What is learned from, and how it is split."""

    name: Annotated[Text, WithJsonSchema({"enum": list(DATA_NAMES)})] | None = None
    factory: Factory | None = None
    args: Args | None = None
    train: Share | None = None
    val: Share | None = None
    test: Share | None = None
    selector: Share | None = None
    split_seed: Whole | None = None
    size: Count | None = None
    """Resize and centre crop, in pixels."""
    mean: Mean | None = None
    std: Std | None = None
    augment: Literal["none", "crop_flip"] | None = None


class ScheduleFields(Spec):
    """The whole file."""

    dmtsearch: Annotated[int, Field(ge=1, le=1, strict=True)]
    """Format version."""
    name: Text
    seed: Whole = 0
    data: DataFields
    defaults: StageSpec | None = None
    stages: Annotated[dict[StageName, StageSpec], Field(min_length=1)]
    deliver: Text | None = None
