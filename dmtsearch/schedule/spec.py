"""A schedule as a user writes it: stages, data, and the whole.

The line under a field is its description in the JSON Schema and its row in docs/schedule.md.
"""

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
    """Name of an earlier stage."""
    epoch: Count | None = None
    """After how many of that stage's own epochs, from 1; as it ends unless given (RCO)."""


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
    """What is trained."""
    source: Sources | None = None
    """Earlier stages to learn from: one, a list, `all` on the way here, or `{stage, epoch}`."""
    init: Annotated[Text | None, BeforeValidator(none_word)] = None
    """An earlier stage with the same model, from whose weights this one goes on."""
    modality: Annotated[Text | None, BeforeValidator(none_word)] = None
    """Which modality of the data the stage reads, where the data has several."""
    repeat: Annotated[int, Field(ge=0, le=MAX_COPIES, strict=True)] | None = None
    """Number of copies, each learning from the one before; 0 removes the stage."""
    order: dict[str, Literal["increasing", "decreasing"]] | None = None
    """For copies: field to sort what its hole draws by, without equal values."""
    select: tuple[Text, ...] | None = None
    """Makes it a selector: earlier stages, each of another modality, among which it selects."""
    inputs: Literal["topk", "posterior", "logits", "moments"] | None = None
    """Selector: what it reads of each classifier's outputs."""
    k: Count | None = None
    """Selector with topk: how many softmax values, the largest first."""
    degrade: tuple[DegradeSpec, ...] | None = None
    """Selector: how samples are degraded for it to learn from."""
    target: Literal["undegraded", "right"] | None = None
    """Selector: what it learns to answer, an undegraded modality or the one that is right."""
    decision: Literal["hard", "soft"] | None = None
    """Selector: the selected modality alone decides, or all are mixed by its softmax."""
    epochs: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Passes over the training split, at most; a hint phase comes before and is added."""
    optimizer: OptimizerSpec | None = None
    """How weights move."""
    keep: Literal["best", "last"] | None = None
    """Which epoch is handed on: the last, or the `best` by val accuracy, of equals the latest."""
    soft: Annotated[SoftSpec | None, BeforeValidator(none_word)] = None
    """The loss towards the sources' softened outputs (soft targets); `none` switches it off."""
    hard: HardSpec | None = None
    """The loss towards the labels: its weight and label smoothing."""
    merit: Annotated[MeritSpec | None, BeforeValidator(none_word)] = None
    """Moves the soft weight of each sample; `none` switches it off."""
    hints: Annotated[tuple[HintSpec, ...], BeforeValidator(none_is_empty)] | None = None
    """Pairs of layers whose maps are compared; `[]` or `none` for none."""
    hint_phase: Annotated[HintPhaseSpec | None, BeforeValidator(none_word)] = None
    """Epochs with hints alone, before all others; `none` switches it off."""
    switch: SwitchSpec | None = None
    """Ends the stage before its last epoch."""
    augment: Literal["none", "crop_flip"] | None = None
    """Random crops and mirrored images, in place of the data's own setting."""
    seed: Annotated[int, Field(strict=True)] | None = None
    """In place of the schedule's: for replicates that share a first model."""
    resources: ResourcesSpec | None = None
    """CPUs, GPUs and memory of the stage's task on Ray."""
    compile: Truth | None = None
    """Pass the model through `torch.compile` where no hint reads from it."""
    amp: Truth | None = None
    """Forward passes in bfloat16; unless given, on CUDA devices that support it."""


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
    """A data set known by name; either this or `factory`."""
    factory: Factory | None = None
    """`package.module:function`, called with `args`; returns the user's own data sets."""
    args: Args | None = None
    """Arguments by name, for the named data set or the factory."""
    train: Share | None = None
    """Samples that weights are fitted to: a count or a fraction; the rest unless given."""
    val: Share | None = None
    """Samples that choose: a count or a fraction; the set's own unless given, else 0.15."""
    test: Share | None = None
    """Sealed samples, read by `evaluate` alone: the set's own unless given, else 0.15."""
    selector: Share | None = None
    """Samples a selector learns from; unless given 0.2 of what test and val leave."""
    split_seed: Whole | None = None
    """Fixes which sample is in which split; no other seed does."""
    size: Count | None = None
    """Images are resized (shorter side) and cut to the middle square, in pixels."""
    mean: Mean | None = None
    """Subtracted: one number, a list (one per channel), or `imagenet`; else measured on train."""
    std: Std | None = None
    """Divided by: one number, a list (one per channel), or `imagenet`; else measured on train."""
    augment: Literal["none", "crop_flip"] | None = None
    """Random crops and mirrored images for all stages."""


class ScheduleFields(Spec):
    """The whole file."""

    dmtsearch: Annotated[int, Field(ge=1, le=1, strict=True)]
    """Format version."""
    name: Text
    """A name for people, no part of a key; the file's stem unless given."""
    seed: Whole = 0
    """Of weights, order, augmentation, dropout and degradations; never of the splits."""
    data: DataFields
    """The data set and its splits."""
    defaults: StageSpec | None = None
    """Fields that every stage inherits: blocks field by field, lists whole."""
    stages: Annotated[dict[StageName, StageSpec], Field(min_length=1)]
    """Name to stage, in the order in which they run; a stage may name only earlier ones."""
    deliver: Text | None = None
    """The stage whose weights are the result; unless given, the one that no stage reads."""
