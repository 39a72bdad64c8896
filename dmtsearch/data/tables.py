"""The data sets that are known by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .cifar import CIFAR10, CIFAR100
from .digits import describe_digits, read_digits
from .facts import DataFacts
from .fashion import FASHION_MNIST
from .folder import describe_folder, read_folder
from .pool import RawData
from .published import PublishedSet
from .resize import resize_raw, resized_shape
from .synthetic_eyes import EYE_ARGS, describe_eyes, read_eyes

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """How a known data set is described and read; both get `data.args` and `data.size`."""

    describe: Callable[[Args, int | None], DataFacts]
    read: Callable[[Args, int | None], RawData]
    args: tuple[str, ...]
    """The names that `data.args` may hold."""


def _resizing(
    describe: Callable[[Args], DataFacts],
    read: Callable[[Args], RawData],
    args: tuple[str, ...],
) -> Table:
    def describe_resized(given: Args, size: int | None) -> DataFacts:
        facts = describe(given)
        shapes = {name: resized_shape(shape, size) for name, shape in facts.shapes.items()}
        return replace(facts, shapes=shapes)

    return Table(describe_resized, lambda given, size: resize_raw(read(given), size), args)


def _published(data: PublishedSet) -> Table:
    return _resizing(data.describe, data.read, ("root", "download"))


TABLES: dict[str, Table] = {
    "digits": _resizing(describe_digits, read_digits, ()),
    "fashion_mnist": _published(FASHION_MNIST),
    "cifar10": _published(CIFAR10),
    "cifar100": _published(CIFAR100),
    "image_folder": Table(describe_folder, read_folder, ("root", "classes")),
    "synthetic_eyes": Table(describe_eyes, read_eyes, EYE_ARGS),
}
