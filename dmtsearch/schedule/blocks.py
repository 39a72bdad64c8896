"""The blocks of a stage: each field with its type, default, bounds and description.

Blocks with several forms (an optimizer, a soft loss, a merit rule, a switch) have a class for each
form, and one field says which: so a field belongs to the forms whose classes declare it. `FORMS`
lists them. A form's `IN_KEYS` are fields that keys have always had, whatever they hold; a new
field is left out of keys where it has its default (dmtsearch/preimages.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag, WithJsonSchema
from pydantic import Field as Bounds
from pydantic.json_schema import SkipJsonSchema

from ..names import Degradation
from .values import (
    Chance,
    Count,
    Fraction,
    NotNegative,
    Positive,
    Real,
    Text,
    Truth,
    Whole,
    named_or_own,
    refuse,
)

if TYPE_CHECKING:
    from dataclasses import dataclass as block  # as type checkers know it
else:
    from .values import block

FORM = "form:"
"""Begins the steps that pydantic adds to a place to say which form it tried."""


@block
class SourceRef:
    """A stage to learn from: as it ends, or as it was after `epoch` epochs."""

    stage: Text
    """Name of an earlier stage."""
    epoch: Count | None = None
    """After how many of that stage's own epochs, from 1; as it ends unless given (RCO)."""


@block
class HeldOut:
    """A part of the training split, which a copy of a stage is not trained on."""

    number: Whole
    """Which, from 0."""
    of: Count
    """How many there are."""


def _two_betas(value: tuple[float, float]) -> tuple[float, float]:
    if not all(0 <= beta < 1 for beta in value):
        raise refuse("must be two numbers in [0, 1)")
    return value


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if not value or list(value) != sorted(set(value)) or value[0] <= 0 or value[-1] >= 1:
        raise refuse("must be rising fractions of the phase, each between 0 and 1")
    return value


OptimizerName = Literal["adamw", "adam", "sgd"]


@block
class Optimizer:
    """How weights move; new for each phase, with its own rate schedule."""

    USUAL: ClassVar["Optimizer"]
    name: OptimizerName
    """The optimizer, as in torch."""
    lr: Positive = 0.003
    """Learning rate; of `one_cycle` the highest."""
    weight_decay: NotNegative = 0.0
    """Weight decay (L2 for adam and sgd)."""
    schedule: Literal["one_cycle", "constant", "cosine", "step"] = "one_cycle"
    """How the rate moves over the steps of a phase."""
    batch: Count = 128
    """Samples per step."""
    drop_last: Truth = True
    """Leave out a last batch that is not full; refused where train is smaller than a batch."""
    milestones: Annotated[tuple[Real, ...], AfterValidator(_rising)] | None = None
    """step: fractions of the phase at which the rate is multiplied by `gamma`."""
    gamma: Positive | None = None
    """step: factor of the rate at each milestone."""


@block
class Adam(Optimizer):
    """Adam, with L2 decay."""

    name: Annotated[OptimizerName, WithJsonSchema({"enum": ["adam"]})] = "adam"
    betas: Annotated[tuple[Real, Real], AfterValidator(_two_betas)] = (0.9, 0.999)
    """adamw, adam: decay of the two running means, each in [0, 1)."""
    eps: Positive = 1e-8
    """adamw, adam: added to the denominator."""


@block
class AdamW(Adam):
    """Adam with decoupled decay."""

    name: Annotated[OptimizerName, WithJsonSchema({"enum": ["adamw"]})] = "adamw"
    weight_decay: NotNegative = 0.01


@block
class Sgd(Optimizer):
    """Stochastic gradient descent."""

    IN_KEYS: ClassVar = ("momentum", "nesterov", "betas", "eps")
    name: Annotated[OptimizerName, WithJsonSchema({"enum": ["sgd"]})] = "sgd"
    momentum: Chance = 0.9
    """sgd: momentum."""
    nesterov: Truth = False
    """sgd: Nesterov's momentum; needs a momentum above 0."""


Optimizer.USUAL = AdamW()
STEP_FIELDS = {"milestones": (0.5, 0.75), "gamma": 0.1}
"""Fields that only `schedule: step` has, with their defaults."""


SOFT_LOSSES = ("kl", "dkd", "dist")
"""By name; each has its function in dmtsearch/losses/soft, a file of its name."""


@block
class Soft:
    """The loss towards the sources' softened outputs."""

    USUAL: ClassVar["Soft"]
    temperature: Positive = 4.0
    """T, by which the logits of both models are divided; the loss is multiplied by T^2."""
    weight: NotNegative = 0.5
    """a, the weight of the soft loss; at most 1 unless `hard.weight` is given."""
    until: Fraction = 1.0
    """Fraction of `epochs`, rounded up, after which only labels are used."""
    combine: Literal["mean", "sum"] = "mean"
    """Mean or sum of the losses towards several sources."""
    drop: Chance = 0.0
    """Chance per batch that each of several sources is left out; one always stays (DGKD)."""
    standardise: Truth = False
    """Logits of both models get mean 0 and deviation 1 over the classes (CVPR 2024)."""
    loss: named_or_own(*SOFT_LOSSES) = "kl"  # type: ignore[valid-type]  # made by a function
    """kl: divergence (Hinton); dkd: decoupled (CVPR 2022); dist: correlation (NeurIPS 2022); or
    a function of your own: (student logits, source logits, labels, temperature) to [B]."""


@block
class Dkd(Soft):
    """Decoupled distillation: Zhao et al., CVPR 2022, with the weights of their code."""

    IN_KEYS: ClassVar = ("alpha", "beta")
    alpha: NotNegative = 1.0
    """dkd: weight of the true class against the rest."""
    beta: NotNegative = 8.0
    """dkd: weight of the other classes among themselves; dist: of each sample's classes."""


@block
class Dist(Soft):
    """Distillation by correlation: Huang et al., NeurIPS 2022, with the weights of their code."""

    IN_KEYS: ClassVar = ("beta", "gamma")
    beta: NotNegative = 1.0
    """dkd: weight of the other classes among themselves; dist: of each sample's classes."""
    gamma: NotNegative = 1.0
    """dist: weight of each class's samples over the batch."""


Soft.USUAL = Soft()


@block
class Hard:
    """The loss towards the labels."""

    weight: NotNegative | None = None
    """h, the weight of the loss towards the labels while soft targets are used; else 1 - a."""
    smoothing: Chance = 0.0
    """Label smoothing: share of the target that is spread evenly over all classes."""


MeritRule = Literal["delta", "hard", "soft"]
_RULE = "delta: a plus or minus `increment`; hard: a or 0; soft: source's softened p of the label."
_PLACEBO = "For control arms: the mean of a_i for every sample, or a_i shuffled over the samples."
Placebo = Annotated[Literal["none", "mean", "shuffle"], Bounds(description=_PLACEBO)]
_FROM = (
    "Outputs that say whether the source is right: its own, or on each sample those of the one "
    "of five copies that was not trained on it."
)
Correctness = Annotated[Literal["train", "folds"], Bounds(alias="from", description=_FROM)]


@block
class Merit:
    """A rule that moves the soft weight per sample, by whether the source is right on it."""

    rule: Annotated[MeritRule, Bounds(description=_RULE)]
    placebo: Placebo = "none"
    correctness: Correctness = "train"


@block
class Delta:
    """A merit rule that adds to the soft weight where the source is right on the sample."""

    USUAL: ClassVar[Merit]
    IN_KEYS: ClassVar = ("increment",)
    rule: Annotated[MeritRule, Bounds(description=_RULE), WithJsonSchema({"enum": ["delta"]})]
    increment: Annotated[Real, Bounds(ge=-0.5, le=0.5)] = 0.1  # Morikawa and Kameyama, CSPA 2023
    """delta: added to a where the source is right on the sample, subtracted where not; below 0
    the source weighs more where it is wrong."""
    placebo: Placebo = "none"
    correctness: Correctness = "train"


Delta.USUAL = Merit("hard")


@block
class Adapter:
    """What makes the student's map like the source's: a convolution with norm and ReLU."""

    kernel: Count = 3
    """Side of the convolution in pixels, odd; features get a linear layer."""
    norm: Truth = True
    """Whether a BatchNorm follows."""
    relu: Truth = True
    """Whether a ReLU ends it; false where the source's map can be negative."""


def _point(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refuse("must be a point: a listed name, a module path, or a depth in [0, 1]")
    if isinstance(value, str) and not value.strip():
        raise refuse("must not be empty")
    if not isinstance(value, str) and not 0 <= value <= 1:
        raise refuse("must be a depth in [0, 1]; quote it where it is a module's name")
    return value if isinstance(value, str) else float(value)


_POINT_SCHEMA = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "number", "minimum": 0, "maximum": 1},
    ]
}
Point = Annotated[str | float, BeforeValidator(_point), WithJsonSchema(_POINT_SCHEMA)]


HINT_LOSSES: Mapping[str, Mapping[str, str]] = {
    "mse": {},
    "attention": {
        "adapter": "loss is attention, which compares where maps are active, whatever their "
        "channels",
        "scale": "loss is attention, whose maps have norm 1",
    },
}
"""By name, the fields of a hint that the loss does not use, each with why. Each has its function
in dmtsearch/losses/hints, a file of its name."""
OF_OWN_HINT_LOSSES = {"scale": "the loss is a function of your own, which scales by itself"}


@block
class Hint:
    """A pair of layers: the student's is to become like the source's (feature distillation)."""

    stage: SkipJsonSchema[str] = field(default="", kw_only=True)
    """The stage whose point it is."""
    source: Point
    """POINT in the first source, or STAGE.POINT: another source, or an earlier stage that gives
    hints alone."""
    at: Point
    """Where in this stage's model: a listed point, a module path, or a depth in [0, 1]."""
    weight: NotNegative = 1.0
    """v, the weight of this pair's loss."""
    adapter: Adapter = Adapter()
    """What joins the student's map to the source's; trained with the student, then dropped."""
    scale: Literal["none", "unit"] = "none"
    """`unit` divides the loss by the mean square of the source's map over the batch."""
    loss: named_or_own(*HINT_LOSSES) = "mse"  # type: ignore[valid-type]  # made by a function
    """mse: of the adapted map (FitNets); attention: where maps are active, without an adapter
    (attention transfer, ICLR 2017); or a function of your own: (adapted map, source map) to
    [B]."""

    @property
    def unused(self) -> Collection[str]:
        """Fields that its loss does not use."""
        return HINT_LOSSES.get(self.loss, OF_OWN_HINT_LOSSES)


@block
class HintPhase:
    """Hints alone first (FitNets), then the rest."""

    epochs: Annotated[int, Bounds(ge=0, strict=True)]
    """Passes over train with hints alone, before the stage's own epochs."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights go on; `best` has the lowest hint loss on val, of equals the last."""
    then: Literal["stop", "stay"] = "stop"
    """`stop` ends the hints with the phase, `stay` keeps their loss beside the others."""


SwitchRule = Literal["epochs", "plateau", "accuracy"]


@block
class Switch:
    """When the stage ends."""

    USUAL: ClassVar["Switch"]
    when: SwitchRule = "epochs"
    """What ends the stage: its last epoch, a plateau of `on`, or a val accuracy."""


@block
class Plateau(Switch):
    """The stage ends where a value does not improve any more."""

    IN_KEYS: ClassVar = ("on", "patience", "min_delta")
    when: Annotated[SwitchRule, WithJsonSchema({"enum": ["plateau"]})] = "plateau"
    on: Literal["val_accuracy", "val_nll"] = "val_accuracy"
    """plateau: the value that is watched."""
    patience: Count = 5
    """plateau: validated epochs in a row without a gain."""
    min_delta: NotNegative = 0.0
    """plateau: a gain must be larger than this, in the unit of `on`."""


@block
class Accuracy(Switch):
    """The stage ends at a val accuracy."""

    when: Annotated[SwitchRule, WithJsonSchema({"enum": ["accuracy"]})] = "accuracy"
    at_least: Fraction = field(kw_only=True)
    """accuracy: the val accuracy to reach, as a fraction; required for this rule."""


Switch.USUAL = Switch()


def _gpus(value: Any) -> Any:
    """`auto`, no GPU, a share of one, or whole ones, as Ray gives them out."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == AUTO or (is_number and (0 <= value < 1 or value in range(1, 1_000_000))):
        return value if value == AUTO else float(value)
    raise refuse(
        "must be auto, 0 (the CPU), a share of one GPU (0 to 1) or a number of whole GPUs"
    )


AUTO = "auto"
_GPU_SCHEMA = {
    "anyOf": [
        {"const": AUTO},
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "integer", "minimum": 2},
    ]
}


@block
class Resources:
    """What the stage's task gets; `auto` in its place is all of this unless given."""

    cpu: NotNegative = 1.0
    """CPUs that each process holds on Ray; its whole part is the number of threads."""
    gpu: Annotated[float | str, BeforeValidator(_gpus), WithJsonSchema(_GPU_SCHEMA)] = AUTO
    """A share of a GPU, whole GPUs, or 0 for the CPU; `auto`: a share by the stage's memory where
    there is a GPU, else the CPU."""
    memory: Count | None = None
    """Memory in bytes that Ray reserves for each process."""
    workers: Count = 1
    """Processes that train the stage together, each on its part of every batch; on GPUs each has a
    whole one."""
    label: Text | None = None
    """Runs only on Ray nodes with this label: `NAME=VALUE`, or `VALUE` of any name."""


def auto_word(value: Any) -> Any:
    """`auto` is a block with nothing in it."""
    return {} if value == AUTO else value


def _severity(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        low, high = value
        raise refuse(f"must be [low, high], 0 <= low <= high <= 1, got [{low:g}, {high:g}]")
    return value


@block
class Degrade:
    """A way to degrade one modality, for a selector to learn from."""

    kind: Degradation
    """The kind of degradation; `dmtsearch schema --degradations` describes each."""
    severity: Annotated[tuple[Fraction, Fraction], AfterValidator(_severity)]
    """Drawn evenly from [low, high], 0 to 1; `dmtsearch schema --degradations` gives its units."""

    @property
    def low(self) -> float:
        """The lowest severity."""
        return self.severity[0]

    @property
    def high(self) -> float:
        """The highest severity."""
        return self.severity[1]

    def preimage(self) -> dict[str, Any]:
        """As it is in keys and bundles."""
        return {"kind": self.kind, "low": self.low, "high": self.high}


# -- forms --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forms:
    """A block that has several forms.

    Attributes:
        key: The field that says which form it is.
        default: What holds where the field is not given; None where it must be.
        classes: The class of each value of `key`.
        others: The class of every other value.
    """

    key: str
    default: str | None
    classes: Mapping[str, type[Any]]
    others: type[Any]

    def of(self, value: Mapping[str, Any]) -> Any:
        """The class of a block as written."""
        name = value.get(self.key, self.default)
        return self.classes.get(name, self.others) if isinstance(name, str) else self.others

    def owners(self, name: str) -> list[str]:
        """The forms that have a field, those that come with another value of `key`."""
        return [form for form, kind in self.classes.items() if name in _declared(kind)]


def _declared(kind: type[Any]) -> list[str]:
    return [one.name for one in fields(kind)]


def one_of(forms: Forms) -> Any:
    """The union of a block's forms: what a value is checked against is decided by its key."""
    kinds = dict.fromkeys([*forms.classes.values(), forms.others])

    def tag(value: Any) -> str:
        if isinstance(value, dict):
            return FORM + str(forms.of(value).__name__)
        mine = [kind for kind in type(value).__mro__ if kind in kinds]
        return FORM + (mine[0] if mine else forms.others).__name__

    union: Any = None
    for kind in kinds:
        option: Any = Annotated[kind, Tag(FORM + kind.__name__)]
        union = option if union is None else union | option
    return Annotated[union, Discriminator(tag)]


FORMS: Mapping[str, Forms] = {
    "optimizer": Forms("name", "adamw", {"adamw": AdamW, "adam": Adam, "sgd": Sgd}, AdamW),
    "soft": Forms(
        "loss", "kl", {**dict.fromkeys(SOFT_LOSSES, Soft), "dkd": Dkd, "dist": Dist}, Soft
    ),
    "merit": Forms("rule", None, {"delta": Delta, "hard": Merit, "soft": Merit}, Merit),
    "switch": Forms(
        "when", "epochs", {"epochs": Switch, "plateau": Plateau, "accuracy": Accuracy}, Switch
    ),
}
"""The blocks of a stage that have forms, by name; a model's are in model.py."""

if TYPE_CHECKING:
    AnyOptimizer = Optimizer
    AnySoft = Soft
    AnyMerit = Merit | Delta
    AnySwitch = Switch
else:
    AnyOptimizer = one_of(FORMS["optimizer"])
    AnySoft = one_of(FORMS["soft"])
    AnyMerit = one_of(FORMS["merit"])
    AnySwitch = one_of(FORMS["switch"])
