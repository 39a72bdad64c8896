"""A data set that is known by name: how it is described and read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .facts import DataFacts
from .pool import RawData
from .resize import resize_raw, resized_shape

Args = Mapping[str, Any]


@dataclass(frozen=True)
class KnownDataset:
    """How a known data set is described and read; both get `data.args` and `data.size`."""

    describe: Callable[[Args, int | None], DataFacts]
    read: Callable[[Args, int | None], RawData]
    args: tuple[str, ...]
    """The names that `data.args` may hold."""


def resizing(
    describe: Callable[[Args], DataFacts],
    read: Callable[[Args], RawData],
    args: tuple[str, ...] = (),
) -> KnownDataset:
    """Return a data set whose images have one size, from functions that know no `data.size`."""

    def describe_resized(given: Args, size: int | None) -> DataFacts:
        facts = describe(given)
        shapes = {name: resized_shape(shape, size) for name, shape in facts.shapes.items()}
        return replace(facts, shapes=shapes)

    return KnownDataset(describe_resized, lambda given, size: resize_raw(read(given), size), args)
