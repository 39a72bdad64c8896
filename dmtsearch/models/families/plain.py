"""Plain convolutional nets: blocks of 3x3 convolutions, each block halved by a max-pool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ...errors import ModelError
from ..limits import refuse_deep
from ..shape import (
    SizedShape,
    all_positive,
    chance,
    doubling,
    image_size,
    joined,
    joined_once,
    positive,
    truth,
)

DEFAULT_BLOCKS = 4


@dataclass(frozen=True)
class PlainShape(SizedShape):
    """Everything that fixes a plain net but its input and its number of classes.

    A block is `convs` times Conv3x3 (padding 1, with bias) - [Dropout] - [BatchNorm] - ReLU, then
    a max-pool. The map after the last pool is flattened; `head` are hidden linear layers with
    ReLU in front of the classifier.
    """

    widths: tuple[int, ...]
    """Channels of each block."""
    convs: tuple[int, ...]
    """Convolutions in each block, as many numbers as `widths`."""
    pool: tuple[int, int] = (2, 2)
    """Kernel and stride of the max-pools, in pixels."""
    pool_ceil: bool = True
    """Whether a pool keeps the last, incomplete window."""
    last_pool: bool = True
    """Whether the last block is pooled too."""
    head: tuple[int, ...] = ()
    dropout: float = 0.0
    """Chance that an element after a convolution is dropped, before its BatchNorm."""
    norm: bool = True

    EXAMPLE: ClassVar = {"widths": [3, 5, 4], "convs": [1, 2, 1], "dropout": 0.1}
    REPLACED = ("widths", "base", "blocks")

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> "PlainShape":
        """Return the shape of a specification with `widths`, or with `base` and `blocks`."""
        if "widths" in spec:
            widths = all_positive("widths", spec["widths"])
        elif "base" in spec:
            blocks = positive("blocks", spec.get("blocks", DEFAULT_BLOCKS))
            widths = doubling(positive("base", spec["base"]), blocks)
        else:
            raise ModelError("a plain net needs `widths`, `base` or `size`")
        convs, head = spec.get("convs", 2), spec.get("head", ())
        if not isinstance(convs, list | tuple):
            convs = (convs,) * len(widths)
        if len(convs) != len(widths):
            raise ModelError(f"{len(convs)} numbers of convolutions for {len(widths)} blocks")
        head = () if head == "new" else all_positive("head", head, empty=True)
        refuse_deep(sum(all_positive("convs", convs)), "convs")
        refuse_deep(len(head), "head")
        pool = all_positive("pool", spec.get("pool", (2, 2)))
        if len(pool) != 2:
            raise ModelError(f"pool is {list(pool)}; give [kernel, stride], like [2, 2]")
        return cls(
            widths,
            all_positive("convs", convs),
            pool=(pool[0], pool[1]),
            pool_ceil=truth("pool_ceil", spec.get("pool_ceil", True)),
            head=head,
            dropout=chance("dropout", spec.get("dropout", 0.0)),
            norm=truth("norm", spec.get("norm", True)),
        )

    @classmethod
    def unscaled(cls, spec: Mapping[str, Any], start: Any) -> "PlainShape":
        """Return the net with the start's widths, where it has as many blocks."""
        convs, count = spec.get("convs"), len(start.widths) if start else DEFAULT_BLOCKS
        if isinstance(convs, list | tuple):
            count = len(convs)
        elif "blocks" in spec:
            count = positive("blocks", spec["blocks"])
        kept = start and len(start.widths) == count
        return cls.read({**spec, "widths": start.widths if kept else doubling(1, count)})

    def resolved(self) -> dict[str, Any]:
        """Return the widths."""
        return {"widths": list(self.widths)}

    def describe(self) -> str:
        """Return the net in a few words."""
        return f"plain {joined(self.widths)}, {joined_once(self.convs)} convs a block"

    def build(self, in_shape: Sequence[int], num_classes: int) -> nn.Module:
        """Return the net; refuses what is no image, and images too small for the pools."""
        return PlainNet(self, in_shape, num_classes)

    def count(self, in_shape: Sequence[int], num_classes: int) -> int:
        """Return the number of trainable parameters without building the net."""
        height, width = flat_size(self, in_shape)
        channels, total = in_shape[0], 0
        for out, convs in zip(self.widths, self.convs, strict=True):
            for _ in range(convs):
                total += 9 * channels * out + out + (2 * out if self.norm else 0)
                channels = out
        features = channels * height * width
        for out in (*self.head, num_classes):
            total += features * out + out
            features = out
        return total

    def pooled(self, block: int) -> bool:
        """Return whether the block with this number, from 0, ends in a pool."""
        return self.last_pool or block < len(self.widths) - 1


class PlainNet(nn.Module):
    """A plain net on images [N, C, H, W], giving logits [N, num_classes].

    Weights are drawn by PyTorch's defaults, as in the code of the nets that we reproduce.

    Raises:
        ModelError: The input is no image, or too small for the pools.

    References:
        Morikawa and Kameyama, PerCom Workshops 2022 (CNN8, CNN12, CNN16); Mirzadeh et al.,
        "TAKD", AAAI 2020 (plain nets of sizes 2 to 10).
    """

    def __init__(self, shape: PlainShape, in_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        height, width = flat_size(shape, in_shape)
        channels = in_shape[0]
        self.num_blocks = len(shape.widths)
        for block, (out, convs) in enumerate(zip(shape.widths, shape.convs, strict=True)):
            self.add_module(f"block{block + 1}", _block(shape, block, channels, out, convs))
            channels = out
        self.flatten = nn.Flatten()
        self.classifier = _head(channels * height * width, shape.head, num_classes)

    @property
    def hint_points(self) -> Mapping[str, str]:
        """Listed points, shallow to deep: each block's output after its pool."""
        return {f"block{i}": f"block{i}" for i in range(1, self.num_blocks + 1)}

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, num_classes]."""
        for path in self.hint_points:
            x = self.get_submodule(path)(x)
        logits: Tensor = self.classifier(self.flatten(x))
        return logits


def _block(shape: PlainShape, block: int, channels: int, out: int, convs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(convs):
        layers.append(nn.Conv2d(channels, out, 3, padding=1))
        if shape.dropout:
            layers.append(nn.Dropout(shape.dropout))
        if shape.norm:
            layers.append(nn.BatchNorm2d(out))
        layers.append(nn.ReLU(inplace=True))
        channels = out
    if shape.pooled(block):
        kernel, stride = shape.pool
        layers.append(nn.MaxPool2d(kernel, stride, ceil_mode=shape.pool_ceil))
    return nn.Sequential(*layers)


def _head(features: int, hidden: Sequence[int], num_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, num_classes))


def flat_size(shape: PlainShape, in_shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width of the map after the last block.

    Raises:
        ModelError: The input is no image [C, H, W], or a pool leaves nothing of it.
    """
    height, width = image_size("plain", in_shape)
    for block in range(len(shape.widths)):
        if not shape.pooled(block):
            continue
        before = height, width
        height, width = (_pooled(n, shape.pool, shape.pool_ceil) for n in before)
        if height < 1 or width < 1:
            raise ModelError(
                f"block{block + 1} of this plain net gets a map of {before[0]}x{before[1]} and "
                f"its pool {list(shape.pool)} leaves nothing of it (input {tuple(in_shape)}); "
                "give larger images (data.size), fewer blocks, or pool: [2, 2] and "
                "pool_ceil: true"
            )
    return height, width


def _pooled(size: int, pool: tuple[int, int], ceil: bool) -> int:
    # PyTorch's rule, with its condition that the last window starts inside the input.
    kernel, stride = pool
    out = (size - kernel + (stride - 1 if ceil else 0)) // stride + 1
    return out - 1 if ceil and (out - 1) * stride >= size else out


SHAPE = PlainShape
