"""The models of a schedule: a class for each family and for each other form of a model.

A model is also a mapping of its fields, in the one form that the models room builds from:
defaults filled in, short forms written out, what is not given left out.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    WithJsonSchema,
)

from ..names import PRESETS
from .blocks import FORM
from .values import (
    Args,
    Chance,
    Count,
    Factory,
    Fraction,
    Mean,
    StageName,
    Std,
    Text,
    Truth,
    Whole,
    counts,
    plain,
    refuse,
)

if TYPE_CHECKING:
    from dataclasses import dataclass as block  # as type checkers know it
else:
    from .values import block

DEFAULT_BLOCKS = 4


@block
class Size:
    """How big a model is: between two others in log-parameters, or in parameters."""

    at: Fraction | None = None
    """Place in log-parameters: 1 is as big as the chain's start, 0 as small as its end."""
    between: tuple[StageName, StageName] | None = None
    """The stages at which `at` is 1 and 0; needed where the stage is on several chains."""
    params: Count | None = None
    """Trainable parameters wanted; the nearest net is built, a miss above 25 % is refused."""


@block
class Input:
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
    if not isinstance(value, dict | Size):
        raise refuse("must be a number in [0, 1], {at, between} or {params}")
    return value


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise refuse(f"no preset {name!r}", PRESETS, shown=False)
    return name


# Fields that several forms have: a type with its description.
_OF_FAMILY = Field(description="A family of our own, sized by its own fields.")
AnySize = Annotated[
    Size | None,
    BeforeValidator(_size),
    Field(
        description="How big, in place of `widths` or `base`; a number alone is `{at: number}`."
    ),
]
Dropout = Annotated[
    Chance,
    Field(
        description="Chance that an element is dropped: plain after each convolution, mlp after "
        "each hidden layer, resnet before the classifier."
    ),
]
Norm = Annotated[
    Truth, Field(description="plain, mlp: BatchNorm after each convolution or hidden layer.")
]
Base = Annotated[
    Count | None,
    Field(description="Channels of the first block; each further block has twice as many."),
]
Weights = Annotated[
    Text | None,
    Field(description="FILE.safetensors, or the name of a torchvision model's weights."),
]
NewHead = Annotated[
    Literal["new"] | None, Field(description="`new` draws a new head over loaded weights.")
]
AnyInput = Annotated[
    Input | None, Field(description="What the model reads, where that differs from the data.")
]
AnyArgs = Annotated[Args, Field(description="Arguments by name.")]


class Model(Mapping[str, Any]):
    """What a stage trains: a net of a family, or another form.

    Attributes:
        WAYS: Fields that say how wide it is, of which a stage's own replaces an inherited one.
        REPLACED: Fields in whose place a `size` can be.
        READS_FEATURES: Whether it can be a selector's model, which reads no images.
    """

    WAYS: ClassVar[tuple[str, ...]] = ()
    REPLACED: ClassVar[tuple[str, ...]] = ()
    READS_FEATURES: ClassVar[bool] = False

    @classmethod
    def problems(cls, given: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        """What is wrong between the fields as written: field (None: the model), rule, value."""
        return ()

    def words(self) -> str:
        """The net in a few words."""
        form = next(iter(self))
        return f"{form} {self[form]}"

    def _size_words(self, otherwise: str) -> str:
        size = self.get("size")
        if size is None:
            return otherwise
        if "params" in size:
            return f"{self['family']} with about {size['params']:,} parameters"
        start, end = size["between"]
        share = 100 * float(size["at"])
        return f"{self['family']}, {share:g} % of the way from {end} up to {start}"

    @cached_property
    def _plain(self) -> Mapping[str, Any]:
        names = [one.name for one in dataclasses.fields(self)]  # type: ignore[arg-type]
        values = {name: getattr(self, name) for name in names}
        return self._normal({n: plain(value) for n, value in values.items() if value is not None})

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return plain fields in the one form that models of the same meaning have."""
        return given

    def __getitem__(self, name: str) -> Any:
        return self._plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    __hash__ = None  # type: ignore[assignment]  # holds lists


def _without_new_head(given: dict[str, Any]) -> dict[str, Any]:
    """Without weights every head is new."""
    if given.get("head") == "new" and "weights" not in given:
        del given["head"]
    return given


@block(eq=False)
class Plain(Model):
    """A plain convolutional net: blocks of convolutions, each followed by a max-pool."""

    WAYS = ("widths", "base", "size")
    REPLACED = ("widths", "base", "blocks")
    family: Annotated[Literal["plain"], _OF_FAMILY]
    widths: counts() | None = None  # type: ignore[valid-type]  # a type made by a function
    """plain: channels of each block."""
    base: Base = None
    blocks: Count | None = None
    """plain, with `base`: number of blocks; resnet: residual blocks of each group, as a list."""
    size: AnySize = None
    convs: counts(single=True) = 2  # type: ignore[valid-type]
    """plain: convolutions in each block; one number, or one a block."""
    pool: tuple[Count, Count] = (2, 2)
    """plain: kernel and stride, in pixels, of the max-pooling after each block."""
    pool_ceil: Truth = True
    """plain: whether a pooling keeps its last, incomplete window."""
    head: counts(words=("new",), empty=True) = ()  # type: ignore[valid-type]
    """plain: widths of hidden linear layers; `new` draws a new head over loaded weights."""
    dropout: Dropout = 0.0
    norm: Norm = True
    weights: Weights = None
    input: AnyInput = None

    @classmethod
    def problems(cls, given: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        ways = [way for way in cls.WAYS if way in given]
        widths, blocks, convs = (given.get(name) for name in ("widths", "blocks", "convs"))
        if len(ways) != 1:
            got = f"; got {' and '.join(ways)}" if ways else ""
            yield None, f"must have exactly one of widths, base or size{got}"
        if "widths" in ways and blocks is not None:
            yield "blocks", "widths says how many blocks there are; drop one"
        number = len(widths) if isinstance(widths, list) else blocks
        if isinstance(convs, list) and isinstance(number, int) and number != len(convs):
            yield "convs", f"must be one number, or one for each of the {number} blocks", convs

    def words(self) -> str:
        return self._size_words(f"plain {'-'.join(map(str, self.get('widths', ())))}")

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        # `base` and `blocks` are widths; equal numbers of convolutions are one.
        given = _without_new_head(given)
        given.setdefault("head", [])
        if "base" in given:
            base, blocks = given.pop("base"), given.pop("blocks", DEFAULT_BLOCKS)
            given["widths"] = [base * 2**index for index in range(blocks)]
        convs = given["convs"]
        if isinstance(convs, list) and "widths" in given and len(set(convs)) == 1:
            given["convs"] = convs[0]
        return given


@block(eq=False)
class Resnet(Model):
    """A residual net for small images."""

    WAYS = ("base", "size")
    REPLACED = ("base",)
    family: Annotated[Literal["resnet"], _OF_FAMILY]
    base: Base = None
    blocks: counts() | None = None  # type: ignore[valid-type]
    """resnet: residual blocks of each group."""
    size: AnySize = None
    bottleneck: Truth = False
    """resnet: bottleneck blocks in place of basic ones."""
    dropout: Dropout = 0.0
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None

    @classmethod
    def problems(cls, given: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        if "base" in given and "size" in given:
            yield "base", "size says how wide the model is; drop one of them"
        if given.get("blocks") is None and "size" not in given:
            rule = "is missing; write the residual blocks of each stage: [3, 3, 3]"
            yield "blocks", rule

    def words(self) -> str:
        return self._size_words(f"resnet {self.get('blocks')} from {self.get('base')} channels")

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        if "size" not in given:
            given.setdefault("base", 64 if self.bottleneck else 16)
        return _without_new_head(given)


@block(eq=False)
class Mlp(Model):
    """A multilayer perceptron."""

    READS_FEATURES = True
    family: Annotated[Literal["mlp"], _OF_FAMILY]
    hidden: counts(empty=True)  # type: ignore[valid-type]
    """mlp: widths of the hidden layers; `[]` for none."""
    dropout: Dropout = 0.0
    norm: Norm = False
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None

    def words(self) -> str:
        return f"mlp {'-'.join(map(str, self.hidden)) or 'without hidden layers'}"

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        return _without_new_head(given)


@block(eq=False)
class Preset(Model):
    """A net of the literature."""

    preset: Annotated[Text, AfterValidator(_preset), WithJsonSchema({"type": "string"})]
    """A net of the literature by name: `cnn8`, `takd-4`, `resnet-20`, `bottleneck-50`, ..."""
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None

    def words(self) -> str:
        return self.preset

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        return _without_new_head(given)


@block(eq=False)
class Torchvision(Model):
    """A model of torchvision."""

    torchvision: Text
    """Name of a torchvision model: `resnet18`."""
    args: AnyArgs = dataclasses.field(default_factory=dict)
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None


@block(eq=False)
class Timm(Model):
    """A model of timm."""

    timm: Text
    """Name of a timm model (needs the extra `dmtsearch[timm]`)."""
    args: AnyArgs = dataclasses.field(default_factory=dict)
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None


@block(eq=False)
class FactoryModel(Model):
    """A model that the user's own code makes."""

    READS_FEATURES = True
    factory: Factory
    """`package.module:function`, called with `args`; returns a torch module."""
    args: AnyArgs = dataclasses.field(default_factory=dict)
    version: Whole = 1
    """factory: raise it when the code it calls has changed; another version is another model."""
    untrained: Truth = False
    """factory: all that training changes is drawn anew by its modules' `reset_parameters()`."""
    weights: Weights = None
    head: NewHead = None
    input: AnyInput = None

    @classmethod
    def problems(cls, given: Mapping[str, Any]) -> Iterable[tuple[Any, ...]]:
        if given.get("untrained") is True and given.get("weights") is not None:
            yield "untrained", "weights are read over it; drop one of them"

    def _normal(self, given: dict[str, Any]) -> dict[str, Any]:
        if not self.untrained:
            del given["untrained"]
        return given


FAMILIES: Mapping[str, type[Model]] = {"plain": Plain, "resnet": Resnet, "mlp": Mlp}
"""Families of nets; each has its nets in dmtsearch/models/families, a file of its name."""
SIZED_FAMILIES = tuple(name for name, kind in FAMILIES.items() if kind.REPLACED)
"""Families that `size` scales."""
OTHER_FORMS: Mapping[str, type[Model]] = {
    "preset": Preset,
    "torchvision": Torchvision,
    "timm": Timm,
    "factory": FactoryModel,
}
MODEL_FORMS = ("family", *OTHER_FORMS)
"""The fields that name a form, of which a model has exactly one."""


def model_form(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """The form of a model, as ("family", "plain") or ("preset", "cnn8"); None where unclear."""
    forms = [form for form in MODEL_FORMS if form in fields]
    value = fields[forms[0]] if len(forms) == 1 else None
    return (forms[0], value) if isinstance(value, str) else None


def model_class(form: tuple[str, str] | None) -> type[Model] | None:
    """The class of a form; None where it is not known."""
    if form is None:
        return None
    return FAMILIES.get(form[1]) if form[0] == "family" else OTHER_FORMS[form[0]]


def owners(name: str) -> list[str]:
    """The forms that have a field, in words."""
    families = {f"family: {family}": kind for family, kind in FAMILIES.items()}
    known = {**families, **OTHER_FORMS}
    return [form for form, kind in known.items() if name in kind.__dataclass_fields__]  # type: ignore[attr-defined]


def _tag(value: Any) -> str | None:
    if isinstance(value, Model):
        return FORM + type(value).__name__
    if not isinstance(value, dict):
        return FORM + Plain.__name__
    form = [name for name in MODEL_FORMS if name in value]
    if len(form) != 1:
        return None
    kind = OTHER_FORMS.get(form[0])
    if kind is None and isinstance(value["family"], str):
        kind = FAMILIES.get(value["family"])
    return FORM + kind.__name__ if kind is not None else None


def _any_model() -> Any:
    union: Any = None
    for kind in (*FAMILIES.values(), *OTHER_FORMS.values()):
        option: Any = Annotated[kind, Tag(FORM + kind.__name__)]
        union = option if union is None else union | option
    return Annotated[union, Discriminator(_tag)]


if TYPE_CHECKING:
    AnyModel = Model
else:
    AnyModel = _any_model()
_READER: TypeAdapter[Model] = TypeAdapter(AnyModel)


def read_model(fields: Mapping[str, Any]) -> Model:
    """Return a model from its fields as plain data, which are known to be right."""
    return _READER.validate_python(dict(fields))
