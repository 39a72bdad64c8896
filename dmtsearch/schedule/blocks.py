"""The blocks of a stage as a user writes them.

The line under a field is its description in the JSON Schema and its row in docs/schedule.md.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from .forms import HINT_LOSSES
from .values import (
    Args,
    Chance,
    Count,
    Factory,
    Fraction,
    Mean,
    NotNegative,
    Positive,
    Real,
    Spec,
    StageName,
    Std,
    Text,
    Truth,
    Whole,
    counts,
    named_or_own,
    refuse,
)


class SizeSpec(Spec):
    """How big a model is: between two others in log-parameters, or in parameters."""

    at: Fraction | None = None
    """Place in log-parameters: 1 is as big as the chain's start, 0 as small as its end."""
    between: tuple[StageName, StageName] | None = None
    """The stages at which `at` is 1 and 0; needed where the stage is on several chains."""
    params: Count | None = None
    """Trainable parameters wanted; the nearest net is built, a miss above 25 % is refused."""


class InputSpec(Spec):
    """What a model reads, where that differs from the data."""

    size: Count | None = None
    """Height and width in pixels."""
    mean: Mean | None = None
    """Subtracted: one number, a list of numbers (one per channel), or `imagenet`."""
    std: Std | None = None
    """Divided by: one number, a list of numbers (one per channel), or `imagenet`."""


def _size(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number:
        return {"at": value}
    if not isinstance(value, dict | SizeSpec):
        raise refuse("must be a number in [0, 1], {at, between} or {params}")
    return value


class ModelSpec(Spec):
    """Who learns: a family with its sizes, a preset, or somebody else's model."""

    family: Literal["plain", "resnet", "mlp"] | None = None
    """A family of our own, sized by the fields below."""
    preset: Text | None = None
    """A net of the literature by name: `cnn8`, `takd-4`, `resnet-20`, `bottleneck-50`, ..."""
    torchvision: Text | None = None
    """Name of a torchvision model: `resnet18`."""
    timm: Text | None = None
    """Name of a timm model (needs the extra `dmtsearch[timm]`)."""
    factory: Factory | None = None
    """`package.module:function`, called with `args`; returns a torch module."""
    widths: counts() | None = None  # type: ignore[valid-type]  # a type made by a function
    """plain: channels of each block."""
    base: Count | None = None
    """plain, resnet: channels of the first block; each further block has twice as many."""
    blocks: counts(single=True) | None = None  # type: ignore[valid-type]
    """plain, with `base`: number of blocks; resnet: residual blocks of each group, as a list."""
    size: Annotated[SizeSpec | None, BeforeValidator(_size)] = None
    """How big, in place of `widths` or `base`; a number alone is `{at: number}`."""
    convs: counts(single=True) | None = None  # type: ignore[valid-type]
    """plain: convolutions in each block; one number, or one a block."""
    pool: tuple[Count, Count] | None = None
    """plain: kernel and stride, in pixels, of the max-pooling after each block."""
    pool_ceil: Truth | None = None
    """plain: whether a pooling keeps its last, incomplete window."""
    head: counts(words=("new",), empty=True) | None = None  # type: ignore[valid-type]
    """plain: widths of hidden linear layers; `new` draws a new head over loaded weights."""
    dropout: Chance | None = None
    """Chance that an element is dropped: plain after each convolution, mlp after each hidden
    layer, resnet before the classifier."""
    norm: Truth | None = None
    """plain, mlp: BatchNorm after each convolution or hidden layer."""
    bottleneck: Truth | None = None
    """resnet: bottleneck blocks in place of basic ones."""
    hidden: counts(empty=True) | None = None  # type: ignore[valid-type]
    """mlp: widths of the hidden layers; `[]` for none."""
    args: Args | None = None
    """torchvision, timm, factory: arguments by name."""
    weights: Text | None = None
    """FILE.safetensors, or the name of a torchvision model's weights."""
    version: Whole | None = None
    """factory: raise it when the code it calls has changed; another version is another model."""
    input: InputSpec | None = None
    """What the model reads, where that differs from the data."""


def _two_betas(value: tuple[float, float]) -> tuple[float, float]:
    if not all(0 <= beta < 1 for beta in value):
        raise refuse("must be two numbers in [0, 1)")
    return value


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if not value or list(value) != sorted(set(value)) or value[0] <= 0 or value[-1] >= 1:
        raise refuse("must be rising fractions of the phase, each between 0 and 1")
    return value


class OptimizerSpec(Spec):
    """How weights move; new for each phase, with its own rate schedule."""

    name: Literal["adamw", "adam", "sgd"] | None = None
    """The optimizer, as in torch."""
    lr: Positive | None = None
    """Learning rate; of `one_cycle` the highest."""
    weight_decay: NotNegative | None = None
    """Weight decay (L2 for adam and sgd); 0.01 for adamw, else 0, unless given."""
    schedule: Literal["one_cycle", "constant", "cosine", "step"] | None = None
    """How the rate moves over the steps of a phase."""
    batch: Count | None = None
    """Samples per step."""
    drop_last: Truth | None = None
    """Leave out a last batch that is not full; refused where train is smaller than a batch."""
    momentum: Chance | None = None
    """sgd: momentum."""
    nesterov: Truth | None = None
    """sgd: Nesterov's momentum; needs a momentum above 0."""
    betas: Annotated[tuple[Real, Real], AfterValidator(_two_betas)] | None = None
    """adamw, adam: decay of the two running means, each in [0, 1)."""
    eps: Positive | None = None
    """adamw, adam: added to the denominator."""
    milestones: Annotated[tuple[Real, ...], AfterValidator(_rising)] | None = None
    """step: fractions of the phase at which the rate is multiplied by `gamma`."""
    gamma: Positive | None = None
    """step: factor of the rate at each milestone."""


class SoftSpec(Spec):
    """The loss towards the sources' softened outputs."""

    temperature: Positive | None = None
    """T, by which the logits of both models are divided; the loss is multiplied by T^2."""
    weight: NotNegative | None = None
    """a, the weight of the soft loss; at most 1 unless `hard.weight` is given."""
    until: Fraction | None = None
    """Fraction of `epochs`, rounded up, after which only labels are used."""
    combine: Literal["mean", "sum"] | None = None
    """Mean or sum of the losses towards several sources."""
    drop: Chance | None = None
    """Chance per batch that each of several sources is left out; one always stays (DGKD)."""
    standardise: Truth | None = None
    """Logits of both models get mean 0 and deviation 1 over the classes (CVPR 2024)."""
    loss: named_or_own("kl", "dkd", "dist") | None = None  # type: ignore[valid-type]
    """kl: divergence (Hinton); dkd: decoupled (CVPR 2022); dist: correlation (NeurIPS 2022); or
    a function of your own: (student logits, source logits, labels, temperature) to [B]."""
    alpha: NotNegative | None = None
    """dkd: weight of the true class against the rest."""
    beta: NotNegative | None = None
    """dkd: weight of the other classes among themselves; dist: of each sample's classes."""
    gamma: NotNegative | None = None
    """dist: weight of each class's samples over the batch."""


class HardSpec(Spec):
    """The loss towards the labels."""

    weight: NotNegative | None = None
    """h, the weight of the loss towards the labels while soft targets are used; else 1 - a."""
    smoothing: Chance | None = None
    """Label smoothing: share of the target that is spread evenly over all classes."""


class MeritSpec(Spec):
    """A rule that moves the soft weight per sample, by whether the source is right on it."""

    rule: Literal["delta", "hard", "soft"] | None = None
    """delta: a plus or minus `increment`; hard: a or 0; soft: source's softened p of the label."""
    increment: Annotated[float, Field(ge=0, le=0.5, strict=True)] | None = None
    """delta: added to a where the source is right on the sample, subtracted where not."""
    placebo: Literal["none", "mean", "shuffle"] | None = None
    """For control arms: the mean of a_i for every sample, or a_i shuffled over the samples."""


class AdapterSpec(Spec):
    """What makes the student's map like the source's: a convolution with norm and ReLU."""

    kernel: Count | None = None
    """Side of the convolution in pixels, odd; features get a linear layer."""
    norm: Truth | None = None
    """Whether a BatchNorm follows."""
    relu: Truth | None = None
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


class HintSpec(Spec):
    """A pair of layers: the student's is to become like the source's (feature distillation)."""

    source: Point
    """Where in the source: POINT, or STAGE.POINT where there are several sources."""
    at: Point
    """Where in this stage's model: a listed point, a module path, or a depth in [0, 1]."""
    weight: NotNegative | None = None
    """v, the weight of this pair's loss."""
    adapter: AdapterSpec | None = None
    """What joins the student's map to the source's; trained with the student, then dropped."""
    scale: Literal["none", "unit"] | None = None
    """`unit` divides the loss by the mean square of the source's map over the batch."""
    loss: named_or_own(*HINT_LOSSES) | None = None  # type: ignore[valid-type]
    """mse: of the adapted map (FitNets); attention: where maps are active, without an adapter
    (attention transfer, ICLR 2017); or a function of your own: (adapted map, source map) to
    [B]."""


class HintPhaseSpec(Spec):
    """Hints alone first (FitNets), then the rest."""

    epochs: Annotated[int, Field(ge=0, strict=True)]
    """Passes over train with hints alone, before the stage's own epochs."""
    keep: Literal["best", "last"] | None = None
    """Which epoch's weights go on; `best` has the lowest hint loss on val, of equals the last."""
    then: Literal["stop", "stay"] | None = None
    """`stop` ends the hints with the phase, `stay` keeps their loss beside the others."""


class SwitchSpec(Spec):
    """When the stage ends."""

    when: Literal["epochs", "plateau", "accuracy"] | None = None
    """What ends the stage: its last epoch, a plateau of `on`, or a val accuracy."""
    on: Literal["val_accuracy", "val_nll"] | None = None
    """plateau: the value that is watched."""
    patience: Count | None = None
    """plateau: epochs in a row without a gain."""
    min_delta: NotNegative | None = None
    """plateau: a gain must be larger than this, in the unit of `on`."""
    at_least: Fraction | None = None
    """accuracy: the val accuracy to reach, as a fraction; required for this rule."""


class ResourcesSpec(Spec):
    """What the stage's task gets on Ray."""

    cpu: NotNegative | None = None
    """CPUs that the task holds on Ray; its whole part is the number of threads."""
    gpu: NotNegative | None = None
    """GPUs, or a share of one."""
    memory: Count | None = None
    """Memory in bytes that Ray sets aside for the task."""
    workers: Count | None = None
    """Processes that train the stage together; this version takes only 1."""
    label: Text | None = None
    """Runs only on Ray nodes with this label: `NAME=VALUE`, or `VALUE` of any name."""


def _severity(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        low, high = value
        raise refuse(f"must be [low, high], 0 <= low <= high <= 1, got [{low:g}, {high:g}]")
    return value


class DegradeSpec(Spec):
    """A way to degrade one modality, for a selector to learn from."""

    kind: Literal[
        "noise",
        "salt_pepper",
        "occlusion",
        "occlusion_block",
        "occlusion_stripe",
        "blur",
        "low_light",
        "missing",
        "block",
    ]
    """The kind of degradation; `dmtsearch schema --degradations` describes each."""
    severity: Annotated[tuple[Fraction, Fraction], AfterValidator(_severity)]
    """Drawn evenly from [low, high], 0 to 1; `dmtsearch schema --degradations` gives its units."""
