"""A stage, the data and the whole file: each field with its type, default and description."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import SkipJsonSchema

from ..names import DATA_SETS
from .blocks import (
    FORM,
    FORMS,
    AdamW,
    Adapter,
    AnyMerit,
    AnyOptimizer,
    AnySoft,
    AnySwitch,
    Degrade,
    Hard,
    HeldOut,
    Hint,
    HintPhase,
    Resources,
    SourceRef,
    Switch,
    auto_word,
)
from .model import FAMILIES, OTHER_FORMS, AnyModel, Input, Size
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
    description,
    field_names,
    linked_names,
    none_is_empty,
    none_word,
    refuse,
)

if TYPE_CHECKING:
    from dataclasses import dataclass as block  # as type checkers know it
else:
    from .values import block

MAX_COPIES = 100


def _sources(value: Any) -> Any:
    """`x`, `[x]`, `all`, `none` and `{stage: x, epoch: n}` as one list."""
    if value == "none" or value is None:
        return []
    items = value if isinstance(value, list | tuple) else [value]
    return [_source(item) for item in items]


def _source(item: Any) -> Any:
    if isinstance(item, str):
        return {"stage": item}
    if isinstance(item, dict | SourceRef):
        return item
    raise refuse("must be a stage, a list of stages, all, none or {stage, epoch}")


Epochs = Annotated[int, Field(ge=0, strict=True)]


# The fields of a stage, in the order in which a file is written; a selector has some of them.


@block(kw_only=True)
class _What:
    name: SkipJsonSchema[str] = ""
    """Its name; of a copy, NAME_1, NAME_2, ..."""
    path: SkipJsonSchema[str] = field(default="", compare=False)
    """Document path of the stage as declared: `stages.assistant`."""
    copy_of: SkipJsonSchema[str] = ""
    """The stage that it is a copy of, for `merit.from: folds` (see folds.py)."""
    fold: SkipJsonSchema[HeldOut | None] = None
    """Of such a copy: the samples that it is not trained on."""
    judges: SkipJsonSchema[tuple[str, ...]] = ()
    """The copies, one for each fold, whose outputs say where this stage's source is right."""
    model: AnyModel
    """What is trained."""


@block(kw_only=True)
class _FromWhom:
    sources: Annotated[
        tuple[SourceRef, ...], BeforeValidator(_sources), Field(alias="source")
    ] = ()
    """Earlier stages to learn from: one, a list, `all` on the way here, or `{stage, epoch}`."""
    init: Annotated[Text | None, BeforeValidator(none_word)] = None
    """An earlier stage with the same model, from whose weights this one goes on."""
    modality: Annotated[Text | None, BeforeValidator(none_word)] = None
    """Which modality of the data the stage reads, where the data has several."""
    repeat: Annotated[int | None, Field(ge=0, le=MAX_COPIES, strict=True)] = field(
        default=None, compare=False
    )
    """Number of copies, each learning from the one before; 0 removes the stage."""
    order: dict[str, Literal["increasing", "decreasing"]] | None = field(
        default=None, compare=False
    )
    """For copies: field to sort what its hole draws by, without equal values."""


@block
class Select:
    """What a selector selects from, and how."""

    stages: Annotated[tuple[Text, ...], Field(alias="select")]
    """Makes it a selector: earlier stages, each of another modality, among which it selects."""
    inputs: Literal["topk", "posterior", "logits", "moments"] = "topk"
    """Selector: what it reads of each classifier's outputs."""
    k: Count | None = 5
    """Selector with topk: how many softmax values, the largest first."""
    degrade: tuple[Degrade, ...] = (
        Degrade("noise", (0.1, 1.0)),
        Degrade("occlusion", (0.1, 1.0)),
    )
    """Selector: how samples are degraded for it to learn from."""
    target: Literal["undegraded", "right"] = "undegraded"
    """Selector: what it learns to answer, an undegraded modality or the one that is right."""
    decision: Literal["hard", "soft"] = "hard"
    """Selector: the selected modality alone decides, or all are mixed by its softmax."""


@block(kw_only=True)
class _HowLong:
    epochs: Epochs = 20
    """Passes over the training split, at most; a hint phase comes before and is added."""
    optimizer: AnyOptimizer = AdamW()
    """How weights move."""
    val_every: Count = 1
    """Epochs between validations; the last epoch is always validated."""
    keep: Literal["best", "last"] = "last"
    """Which epoch is handed on: the last, or the `best` by val accuracy, of equals the latest."""


@block(kw_only=True)
class _Losses:
    soft: Annotated[AnySoft | None, BeforeValidator(none_word)] = None
    """The loss towards the sources' softened outputs (soft targets); `none` switches it off."""
    hard: Hard = Hard()
    """The loss towards the labels: its weight and label smoothing."""
    merit: Annotated[AnyMerit | None, BeforeValidator(none_word)] = None
    """Moves the soft weight of each sample; `none` switches it off."""
    hints: Annotated[tuple[Hint, ...], BeforeValidator(none_is_empty)] = ()
    """Pairs of layers whose maps are compared; `[]` or `none` for none."""
    hint_phase: Annotated[HintPhase | None, BeforeValidator(none_word)] = None
    """Epochs with hints alone, before all others; `none` switches it off."""


@block(kw_only=True)
class _End:
    switch: AnySwitch = Switch()
    """Ends the stage before its last epoch."""


@block(kw_only=True)
class _Distorted:
    augment: Literal["none", "crop_flip"] = "none"
    """Random crops and mirrored images, in place of the data's own setting."""


@block(kw_only=True)
class _Where:
    seed: Annotated[int | None, Field(strict=True)] = None
    """In place of the schedule's: for replicates that share a first model."""
    resources: Annotated[Resources, BeforeValidator(auto_word)] = Resources()
    """CPUs, GPUs and memory of the stage's task; `auto`: a GPU where there is one."""
    compile: Truth = False
    """Pass the trained model through `torch.compile`, with what hints read from it."""
    cuda_graphs: Truth = False
    """With `compile`: record the compiled model once and replay it as CUDA graphs; GPUs only."""
    amp: Truth | None = None
    """Forward passes in bfloat16; unless given, on CUDA devices that support it."""


@dataclass(frozen=True)
class StageInput:
    """What a stage reads of an earlier one.

    Attributes:
        stage: Name of the earlier one.
        use: `source`: it is learned from (a teacher); `hint`: hints alone read it; `judge`: it
            says where a source is right; `init`: training goes on from its weights; `outputs`: its
            outputs are what is read, so that it is delivered with the stage.
        epoch: Of a source that is read as it was after that many epochs (from 1).
    """

    stage: str
    use: str
    epoch: int | None = None


@block(kw_only=True)
class Stage(_Where, _Distorted, _End, _Losses, _HowLong, _FromWhom, _What):
    """One model trained once. Fields that are not given come from `defaults`."""

    @property
    def select(self) -> Select | None:
        """What it selects from, and how; None as it is no selector."""
        return None

    @property
    def kind(self) -> str:
        """Its row in `dmtsearch.stage_kinds`."""
        return "training"

    @property
    def only_hinting(self) -> tuple[str, ...]:
        """Earlier stages that hints read and that are none of its sources."""
        sources = {source.stage for source in self.sources}
        return tuple(dict.fromkeys(h.stage for h in self.hints if h.stage not in sources))

    @property
    def imitated(self) -> tuple[str, ...]:
        """Its sources by name, then what hints alone read: the order of their outputs."""
        return (*(source.stage for source in self.sources), *self.only_hinting)

    @property
    def reads(self) -> tuple[StageInput, ...]:
        """What it reads of earlier stages, in order."""
        return (
            *(StageInput(source.stage, "source", source.epoch) for source in self.sources),
            *(StageInput(name, "hint") for name in self.only_hinting),
            *(StageInput(name, "judge", self.sources[0].epoch) for name in self.judges),
            *([StageInput(self.init, "init")] if self.init is not None else []),
        )

    @property
    def learns_from(self) -> str:
        """Name of the split whose samples it learns from."""
        return "train"

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what each of its epochs is measured by on val."""
        return ("val_accuracy", "val_nll")


@block(kw_only=True)
class SelectorStage(Select, Stage):
    """A net that selects among the outputs of earlier stages, each of another modality.

    Of what a stage learns from it has nothing: a file cannot give a selector those fields.
    """

    @property
    def select(self) -> Select | None:
        """What it selects from, and how."""
        return Select(*(getattr(self, one.name) for one in fields(Select)))

    @property
    def kind(self) -> str:
        """Its row in `dmtsearch.stage_kinds`."""
        return "selector"

    @property
    def reads(self) -> tuple[StageInput, ...]:
        """What it reads of earlier stages, in order."""
        return tuple(StageInput(name, "outputs") for name in self.stages)

    @property
    def learns_from(self) -> str:
        """Name of the split whose samples it learns from."""
        return "selector"

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what each of its epochs is measured by on val."""
        return (*super().measures, "val_regret")


NOT_IN_SELECT = (*field_names(_FromWhom), *field_names(_Losses), *field_names(_Distorted))
"""Fields that a selector does not have."""
SELECT_ONLY = tuple(field_names(Select))
"""Fields that only a selector has; `select` makes it one."""
NOT_IN_DEFAULTS = ("repeat", "order", "select")
STAGE_ORDER = tuple(
    name
    for part in (_What, _FromWhom, Select, _HowLong, _Losses, _End, _Distorted, _Where)
    for name in field_names(part)
)
"""The fields of both kinds of stage, as a file is written."""


def _stage_tag(value: Any) -> str:
    is_selector = isinstance(value, SelectorStage) or (
        isinstance(value, dict) and "select" in value
    )
    return FORM + (SelectorStage if is_selector else Stage).__name__


AnyStage = Annotated[
    Annotated[Stage, Tag(FORM + "Stage")] | Annotated[SelectorStage, Tag(FORM + "SelectorStage")],
    Discriminator(_stage_tag),
]
"""A stage of either kind."""


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


@block
class DataSpec:
    """What is learned from, and how it is split."""

    name: Annotated[Text, WithJsonSchema({"enum": list(DATA_SETS)})] | None = None
    """A data set known by name; either this or `factory`."""
    factory: Factory | None = None
    """`package.module:function`, called with `args`; returns the user's own data sets."""
    args: Args = field(default_factory=dict)
    """Arguments by name, for the named data set or the factory."""
    train: Share | None = None
    """Samples that weights are fitted to: a count or a fraction; the rest unless given."""
    val: Share | None = None
    """Samples that choose: a count or a fraction; the set's own unless given, else 0.15."""
    test: Share | None = None
    """Sealed samples, read by `evaluate` alone: the set's own unless given, else 0.15."""
    selector: Share | None = None
    """Samples a selector learns from; unless given 0.2 of what test and val leave."""
    split_seed: Whole = 0
    """Fixes which sample is in which split; no other seed does."""
    size: Count | None = None
    """Images are resized (shorter side) and cut to the middle square, in pixels."""
    mean: Mean | None = None
    """Subtracted: one number, a list (one per channel), or `imagenet`; else measured on train."""
    std: Std | None = None
    """Divided by: one number, a list (one per channel), or `imagenet`; else measured on train."""
    augment: Literal["none", "crop_flip"] = "none"
    """Random crops and mirrored images for all stages."""


FORM_CLASSES: Mapping[str, Sequence[Any]] = {
    "model": (*FAMILIES.values(), *OTHER_FORMS.values()),
    **{
        name: tuple(dict.fromkeys([*forms.classes.values(), forms.others]))
        for name, forms in FORMS.items()
    },
}
"""The classes of each block that has several forms."""
BLOCKS: Mapping[str, Sequence[Any]] = {
    **FORM_CLASSES,
    "size": (Size,),
    "input": (Input,),
    "hard": (Hard,),
    "hints": (Hint,),
    "adapter": (Adapter,),
    "hint_phase": (HintPhase,),
    "resources": (Resources,),
    "degrade": (Degrade,),
    "source": (SourceRef,),
    "data": (DataSpec,),
}
"""The classes of every block, by the field that holds it."""


def _any_form(name: str, kinds: Sequence[Any], leave_out: Sequence[str] = ()) -> Any:
    """A class of the fields of several forms, none of them needed.

    It checks what is to be inherited, before it is known by which form.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for kind in kinds:
        for one in fields(kind):
            known = kind.__pydantic_fields__[one.name]
            called = known.alias or one.name
            if called in leave_out or one.name in linked_names(kind):
                continue
            inner = FORM_CLASSES.get(called) if kind in (Stage, SelectorStage) else None
            if inner:
                value: Any = _any_form(f"Any{called.capitalize()}", inner)
                if called in ("soft", "merit"):
                    value = Annotated[value | None, BeforeValidator(none_word)]
            else:
                value = _bare(known)
            if called in found and str(found[called][0]) != str(value):
                value = Any  # a stage's own form knows
            text = description(kind, one.name)
            text = found[called][1].description if called in found else text
            found[called] = (value, Field(default=None, description=text))
    fields_of: Any = found
    made: Any = create_model(name, __config__=ConfigDict(extra="forbid"), **fields_of)
    return made


def _bare(known: Any) -> Any:
    """A field's type; of one that says which form it is, with the names of all forms."""
    is_literal = get_origin(known.annotation) is Literal
    found: Any = known.annotation
    for one in known.metadata:
        if not (is_literal and isinstance(one, WithJsonSchema)):
            found = Annotated[found, one]
    return found


Defaults: Any = _any_form("Defaults", [Stage, SelectorStage], leave_out=NOT_IN_DEFAULTS)


class ScheduleFields(Spec):
    """The whole file."""

    dmtsearch: Annotated[int, Field(ge=1, le=1, strict=True)]
    """Format version."""
    name: Text
    """A name for people, no part of a key; the file's stem unless given."""
    seed: Whole = 0
    """Of weights, order, augmentation, dropout and degradations; never of the splits."""
    data: DataSpec
    """The data set and its splits."""
    defaults: Defaults | None = None
    """Fields that every stage inherits: blocks field by field, lists whole."""
    stages: Annotated[dict[StageName, AnyStage], Field(min_length=1)]
    """Name to stage, in the order in which they run; a stage may name only earlier ones."""
    deliver: Text | None = None
    """The stage whose weights are the result; unless given, the one that no stage reads."""
