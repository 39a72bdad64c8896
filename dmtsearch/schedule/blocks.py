"""The blocks of a stage as a user writes them (GRAMMAR.md sections 2 and 3)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

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
    refuse,
)


class SizeSpec(Spec):
    """How big a model is: between two others in log-parameters, or in parameters."""

    at: Fraction | None = None
    """1 is as big as the chain's start, 0 as small as its end."""
    between: tuple[StageName, StageName] | None = None
    """Start and end, where the stage stands on several chains."""
    params: Count | None = None
    """Trainable parameters."""


class InputSpec(Spec):
    """What a model reads, where that differs from the data."""

    size: Count | None = None
    """Pixels, height and width."""
    mean: Mean | None = None
    std: Std | None = None


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
    preset: Text | None = None
    """`cnn8`, `takd-4`, `resnet-20`, `bottleneck-50`, ..."""
    torchvision: Text | None = None
    """Name of a torchvision model: `resnet18`."""
    timm: Text | None = None
    """Name of a timm model."""
    factory: Factory | None = None
    """`package.module:function`, called with `args`; returns a torch module."""
    widths: counts() | None = None  # type: ignore[valid-type]  # a type made by a function
    """Channels of each block."""
    base: Count | None = None
    """Channels of the first block; each further block has twice as many."""
    blocks: counts(single=True) | None = None  # type: ignore[valid-type]
    """plain: number of blocks; resnet: residual blocks of each stage."""
    size: Annotated[SizeSpec | None, BeforeValidator(_size)] = None
    convs: counts(single=True) | None = None  # type: ignore[valid-type]
    """Convolutions in each block: one number, or one a block."""
    pool: tuple[Count, Count] | None = None
    """Kernel and stride of the pooling after each block."""
    pool_ceil: Truth | None = None
    head: counts(words=("new",), empty=True) | None = None  # type: ignore[valid-type]
    """Hidden linear layers; `new` in place of a head with another number of classes."""
    dropout: Chance | None = None
    norm: Truth | None = None
    bottleneck: Truth | None = None
    hidden: counts(empty=True) | None = None  # type: ignore[valid-type]
    """Widths of an mlp's hidden layers."""
    args: Args | None = None
    weights: Text | None = None
    """FILE.safetensors, or the name of a torchvision model's weights."""
    version: Whole | None = None
    """Of a factory: another version is another model."""
    input: InputSpec | None = None


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
    lr: Positive | None = None
    weight_decay: NotNegative | None = None
    schedule: Literal["one_cycle", "constant", "cosine", "step"] | None = None
    batch: Count | None = None
    """Samples per step."""
    drop_last: Truth | None = None
    """Leave out a last batch that is not full."""
    momentum: Chance | None = None
    nesterov: Truth | None = None
    betas: Annotated[tuple[Real, Real], AfterValidator(_two_betas)] | None = None
    eps: Positive | None = None
    milestones: Annotated[tuple[Real, ...], AfterValidator(_rising)] | None = None
    """Fractions of the phase at which the rate is multiplied by `gamma`."""
    gamma: Positive | None = None


class SoftSpec(Spec):
    """The loss towards the sources' softened outputs."""

    temperature: Positive | None = None
    weight: NotNegative | None = None
    until: Fraction | None = None
    """Fraction of `epochs` after which labels alone teach."""
    combine: Literal["mean", "sum"] | None = None
    """Over several sources."""
    drop: Chance | None = None
    """Chance per batch that a source is left out; one always stays (DGKD)."""
    standardise: Truth | None = None


class HardSpec(Spec):
    """The loss towards the labels."""

    weight: NotNegative | None = None
    """1 - soft.weight unless given."""
    smoothing: Chance | None = None


class MeritSpec(Spec):
    """A rule that moves the soft weight per sample, by whether the source is right on it."""

    rule: Literal["delta", "hard", "soft"] | None = None
    increment: Annotated[float, Field(ge=0, le=0.5, strict=True)] | None = None
    placebo: Literal["none", "mean", "shuffle"] | None = None


class AdapterSpec(Spec):
    """What makes the student's map like the source's: a convolution with norm and ReLU."""

    kernel: Count | None = None
    norm: Truth | None = None
    relu: Truth | None = None


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
    """A pair of layers: the student's is to become like the source's."""

    source: Point
    """Where in the source: POINT, or STAGE.POINT where there are several sources."""
    at: Point
    """Where in this stage's model."""
    weight: NotNegative | None = None
    adapter: AdapterSpec | None = None
    scale: Literal["none", "unit"] | None = None
    """`unit` divides by the mean square of the source's map."""


class HintPhaseSpec(Spec):
    """Hints alone first (FitNets), then the rest."""

    epochs: Annotated[int, Field(ge=0, strict=True)]
    keep: Literal["best", "last"] | None = None
    then: Literal["stop", "stay"] | None = None
    """`stay` keeps the hint loss afterwards."""


class SwitchSpec(Spec):
    """When the stage ends."""

    when: Literal["epochs", "plateau", "accuracy"] | None = None
    on: Literal["val_accuracy", "val_nll"] | None = None
    patience: Count | None = None
    """Epochs without a gain."""
    min_delta: NotNegative | None = None
    at_least: Fraction | None = None


class ResourcesSpec(Spec):
    """What the stage's task asks for."""

    cpu: NotNegative | None = None
    gpu: NotNegative | None = None
    memory: Count | None = None
    """Bytes."""
    workers: Count | None = None
    label: Text | None = None


def _severity(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] <= value[1]:
        low, high = value
        raise refuse(f"must be [low, high], 0 <= low <= high <= 1, got [{low:g}, {high:g}]")
    return value


class DegradeSpec(Spec):
    """A way to spoil one modality, for a selector to learn from."""

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
    severity: Annotated[tuple[Fraction, Fraction], AfterValidator(_severity)]
    """Drawn evenly from [low, high], 0 to 1; `dmtsearch schema --degradations` gives its units."""
