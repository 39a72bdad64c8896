"""Nets of the literature by name, to the parameter."""

from collections.abc import Mapping

from .families.plain import PlainShape
from .families.resnet import ResNetShape
from .shape import Shape

_CNN = {
    "cnn8": PlainShape((64, 128, 256, 512), (2,) * 4, (3, 2), False, head=(128,), dropout=0.2),
    "cnn12": PlainShape((32, 64, 128, 256), (3,) * 4, (3, 2), False, head=(128,)),
    "cnn16": PlainShape((16, 32, 64, 128), (4,) * 4, (3, 2), False, head=(128,)),
}
# The two books of TAKD (plane_cifar10_book, plane_cifar100_book), by number of convolutions.
_TAKD = {
    "takd-2": PlainShape((16, 16), (1, 1)),
    "takd-4": PlainShape((16, 32), (2, 2)),
    "takd-6": PlainShape((16, 32, 64), (2, 2, 2)),
    "takd-8": PlainShape((16, 32, 64, 128), (2, 2, 2, 2), head=(64,)),
    "takd-10": PlainShape((32, 64, 128, 256), (2, 2, 2, 4), head=(128,)),
    "takd100-2": PlainShape((32, 32), (1, 1)),
    "takd100-4": PlainShape((32, 64), (2, 2)),
    "takd100-6": PlainShape((32, 64, 128), (2, 2, 2), last_pool=False),
    "takd100-8": PlainShape((32, 64, 128, 256), (2, 2, 2, 2), head=(64,)),
    "takd100-10": PlainShape((32, 64, 128, 256), (2, 2, 2, 4), head=(512,)),
}
# 6n + 2 layers: three groups of n basic blocks, a stem and a classifier.
_RESNET = {f"resnet-{6 * n + 2}": ResNetShape((n, n, n), (16, 32, 64)) for n in range(1, 19)}
_BOTTLENECK = {
    "bottleneck-50": ResNetShape((3, 4, 6, 3), (64, 128, 256, 512), bottleneck=True, dropout=0.3),
    "bottleneck-71": ResNetShape((4, 6, 9, 4), (32, 64, 128, 256), bottleneck=True),
    "bottleneck-98": ResNetShape((6, 8, 12, 6), (16, 32, 64, 128), bottleneck=True),
}

PRESETS: Mapping[str, Shape] = {**_CNN, **_TAKD, **_RESNET, **_BOTTLENECK}
