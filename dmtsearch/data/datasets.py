"""The data sets that are known by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from . import feature_tables, paired_folders, ubiris
from .cifar import CIFAR10, CIFAR100
from .digits import describe_digits, read_digits
from .eyes import EYE_ARGS, describe_eyes, read_eyes
from .facts import DataFacts
from .fashion import FASHION_MNIST
from .feature_tables import describe_tables, read_tables
from .image_folder import describe_folder, read_folder
from .iris_sets import describe_casia, describe_iitd, read_casia, read_iitd
from .paired_folders import describe_paired, read_paired
from .pool import RawData
from .published import PublishedSet
from .resize import resize_raw, resized_shape
from .ubiris import describe_ubiris, read_ubiris

Args = Mapping[str, Any]


@dataclass(frozen=True)
class KnownDataset:
    """How a known data set is described and read; both get `data.args` and `data.size`."""

    describe: Callable[[Args, int | None], DataFacts]
    read: Callable[[Args, int | None], RawData]
    args: tuple[str, ...]
    """The names that `data.args` may hold."""


def _resizing(
    describe: Callable[[Args], DataFacts],
    read: Callable[[Args], RawData],
    args: tuple[str, ...],
) -> KnownDataset:
    def describe_resized(given: Args, size: int | None) -> DataFacts:
        facts = describe(given)
        shapes = {name: resized_shape(shape, size) for name, shape in facts.shapes.items()}
        return replace(facts, shapes=shapes)

    return KnownDataset(describe_resized, lambda given, size: resize_raw(read(given), size), args)


def _published(data: PublishedSet) -> KnownDataset:
    return _resizing(data.describe, data.read, ("root", "download"))


def _casia(name: str) -> KnownDataset:
    return KnownDataset(
        partial(describe_casia, name=name), partial(read_casia, name=name), ("root",)
    )


DATASETS: dict[str, KnownDataset] = {
    "digits": _resizing(describe_digits, read_digits, ()),
    "fashion_mnist": _published(FASHION_MNIST),
    "cifar10": _published(CIFAR10),
    "cifar100": _published(CIFAR100),
    "image_folder": KnownDataset(describe_folder, read_folder, ("root", "classes")),
    "paired_folders": KnownDataset(describe_paired, read_paired, paired_folders.ARGS),
    "uci_style": KnownDataset(describe_tables, read_tables, feature_tables.ARGS),
    "synthetic_eyes": KnownDataset(describe_eyes, read_eyes, EYE_ARGS),
    "casia_lamp": _casia("casia_lamp"),
    "casia_thousand": _casia("casia_thousand"),
    "iitd": KnownDataset(describe_iitd, read_iitd, ("root", "images")),
    "ubiris_ubipr": KnownDataset(describe_ubiris, read_ubiris, ubiris.ARGS),
}
