"""What a family of nets has: a shape, from which its nets are counted, built and described."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from ..errors import ModelError
from .limits import MAX_DOUBLINGS, MAX_NUMBER, short


class Shape(ABC):
    """Everything that fixes a net but its input and its number of classes.

    A family is a subclass, a frozen dataclass. Its fields that are not as they are by default are
    in the keys of stages, so that a default may never change.

    Attributes:
        EXAMPLE: The fields of a small net, for the tests that every family passes.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]]

    @classmethod
    @abstractmethod
    def read(cls, spec: Mapping[str, Any]) -> "Shape":
        """Return the shape of a model's specification (docs/schedule.md), its `size` resolved.

        Raises:
            ModelError: A number is out of range, or numbers do not fit each other.
        """

    @abstractmethod
    def build(self, in_shape: Sequence[int], num_classes: int) -> nn.Module:
        """Return the net, on the default device, with `hint_points` (names to module paths).

        Args:
            in_shape: What the net reads, without the batch: [C, H, W] or [features].
            num_classes: Logits for each sample.

        Raises:
            ModelError: It cannot read such an input.
        """

    @abstractmethod
    def count(self, in_shape: Sequence[int], num_classes: int) -> int:
        """Return the net's trainable parameters without building it; raises as `build` does."""

    @abstractmethod
    def describe(self) -> str:
        """Return the net in a few words, for tables: `plain 64-128, 2 convs a block`."""


class SizedShape(Shape):
    """The shape of a family that `size` can scale.

    Attributes:
        widths: The numbers of channels that are scaled.
        REPLACED: Fields of a specification that the resolved size stands for, `size` aside.
    """

    widths: tuple[int, ...]
    REPLACED: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def unscaled(cls, spec: Mapping[str, Any], start: Any) -> "SizedShape":
        """Return a specification's net with the widths whose ratios are kept.

        Args:
            spec: With `size`.
            start: The chain's first net, None where that is of another family; its ratios are
                taken if it has as many blocks. Else they are 1, 2, 4, 8, ...
        """

    @abstractmethod
    def resolved(self) -> dict[str, Any]:
        """Return the fields that a specification gets in place of `REPLACED` and `size`."""


def doubling(base: int, count: int) -> tuple[int, ...]:
    """Return `base` times 1, 2, 4, 8, ...

    Raises:
        ModelError: More than 40 numbers: no net of such widths fits into any memory.
    """
    if count > MAX_DOUBLINGS:
        raise ModelError(
            f"{short(count)} blocks, each of twice the width of the one before; at most "
            f"{MAX_DOUBLINGS}, or give `widths`"
        )
    return tuple(base * 2**index for index in range(count))


def positive(field: str, value: object) -> int:
    """Return `value` if it is a whole number of at least 1, else refuse it by its field."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"{field} has {value!r}; it takes whole numbers of at least 1")
    if value > MAX_NUMBER:
        raise ModelError(f"{field} has {short(value)}; at most {short(MAX_NUMBER)}")
    return value


def all_positive(field: str, values: object, *, empty: bool = False) -> tuple[int, ...]:
    """Return a list's whole numbers of at least 1, else refuse what is none."""
    if not isinstance(values, list | tuple) or not (values or empty):
        raise ModelError(f"{field} is {values!r}; give a list of whole numbers, at least 1 each")
    return tuple(positive(field, value) for value in values)


def truth(field: str, value: object) -> bool:
    """Return `value` if it is true or false, else refuse it by its field."""
    if not isinstance(value, bool):
        raise ModelError(f"{field} is {value!r}; it takes true or false")
    return value


def chance(field: str, value: object) -> float:
    """Return `value` if it is at least 0 and less than 1, else refuse it by its field."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ModelError(f"{field} is {value!r}; it takes a chance of at least 0 and less than 1")
    return float(value)


def image_size(family: str, in_shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width of an input [C, H, W].

    Raises:
        ModelError: The input is not an image.
    """
    if len(in_shape) != 3:
        raise ModelError(
            f"family {family} reads images [C, H, W], the data has shape {tuple(in_shape)}; "
            "use family: mlp for features"
        )
    return in_shape[1], in_shape[2]


def joined(values: Sequence[int]) -> str:
    """Return numbers as text: `64-128`."""
    return "-".join(map(str, values))


def joined_once(values: Sequence[int]) -> str:
    """Return numbers as text, one number where they are equal: `2`, or `1-2-2-3`."""
    return str(values[0]) if len(set(values)) == 1 else joined(values)
