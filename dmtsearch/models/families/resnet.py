"""Residual nets for small images: a 3x3 stem without max-pool, then groups of residual blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
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

EXPANSION = 4
"""A bottleneck block's output channels, in multiples of its width."""


@dataclass(frozen=True)
class ResNetShape(SizedShape):
    """Everything that fixes a residual net but its input and its number of classes.

    The stem has `widths[0]` channels. Every group but the first halves the map in its first
    block. Basic blocks have parameter-free shortcuts (option A), bottleneck blocks projections.
    """

    blocks: tuple[int, ...]
    """Residual blocks in each group."""
    widths: tuple[int, ...]
    """Channels of each group, of a bottleneck the inner ones (it gives four times as many)."""
    bottleneck: bool = False
    dropout: float = 0.0
    """Chance that a feature is dropped between the average pool and the classifier. The 0.3 of
    `bottleneck-50` is used here: its source names the number and not the place."""

    EXAMPLE: ClassVar = {"blocks": [1, 2], "base": 4}
    REPLACED = ("widths", "base", "blocks")

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> "ResNetShape":
        """Return the shape of a specification with `blocks`, and `widths` or `base`."""
        if "blocks" not in spec:
            raise ModelError(
                "a resnet needs `blocks`: residual blocks in each group, like [3, 3, 3]"
            )
        blocks = all_positive("blocks", spec["blocks"])
        bottleneck = truth("bottleneck", spec.get("bottleneck", False))
        refuse_deep(sum(blocks), "blocks")
        if "widths" in spec:
            widths = all_positive("widths", spec["widths"])
        else:
            base = positive("base", spec.get("base", 64 if bottleneck else 16))
            widths = doubling(base, len(blocks))
        if len(widths) != len(blocks):
            raise ModelError(f"{len(widths)} widths do not fit {len(blocks)} groups of blocks")
        return cls(blocks, widths, bottleneck, chance("dropout", spec.get("dropout", 0.0)))

    @classmethod
    def unscaled(cls, spec: Mapping[str, Any], start: Any) -> "ResNetShape":
        """Return the net with the start's widths, and its groups where none are given."""
        blocks = spec.get("blocks", start.blocks if start else ())
        if not blocks:
            return cls.read({})
        kept = start and len(start.widths) == len(blocks)
        widths = start.widths if kept else doubling(1, len(blocks))
        return cls.read({**spec, "blocks": blocks, "widths": widths})

    def resolved(self) -> dict[str, Any]:
        """Return the groups and their widths."""
        return {"blocks": list(self.blocks), "widths": list(self.widths)}

    def describe(self) -> str:
        """Return the net in a few words."""
        kind = "bottlenecks" if self.bottleneck else "residual blocks"
        return f"resnet {joined(self.widths)}, {joined_once(self.blocks)} {kind} a group"

    def build(self, in_shape: Sequence[int], num_classes: int) -> nn.Module:
        """Return the net; refuses what is no image, and basic blocks that become narrower."""
        return ResNet(self, in_shape, num_classes)

    def count(self, in_shape: Sequence[int], num_classes: int) -> int:
        """Return the number of trainable parameters without building the net."""
        _check(self, in_shape)
        channels = self.widths[0]
        total = 9 * in_shape[0] * channels + 2 * channels
        for count, width in zip(self.blocks, self.widths, strict=True):
            for index in range(count):
                total += _count_block(channels, width, self.bottleneck, first=index == 0)
                channels = width * EXPANSION if self.bottleneck else width
        return total + channels * num_classes + num_classes


class ResNet(nn.Module):
    """A residual net on images [N, C, H, W], giving logits [N, num_classes].

    Convolutions are drawn by He's rule (fan out), as in torchvision's residual nets.

    Raises:
        ModelError: The input is no image, or a group of basic blocks is narrower than the one
            before it, which a parameter-free shortcut cannot be.

    References:
        He et al., "Deep residual learning", CVPR 2016, section 4.2 (CIFAR, option A; the zero
        channels are added half before and half behind). A bottleneck strides in its 3x3
        convolution, as torchvision's do; the paper strides in the 1x1 before it.
    """

    def __init__(self, shape: ResNetShape, in_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        _check(shape, in_shape)
        channels = shape.widths[0]
        self.stem = nn.Sequential(_conv(in_shape[0], channels, 3), nn.BatchNorm2d(channels))
        self.num_groups = len(shape.blocks)
        for group, (count, width) in enumerate(zip(shape.blocks, shape.widths, strict=True)):
            members = []
            for index in range(count):
                stride = 2 if group > 0 and index == 0 else 1
                block = (Bottleneck if shape.bottleneck else BasicBlock)(channels, width, stride)
                members.append(block)
                channels = width * EXPANSION if shape.bottleneck else width
            self.add_module(f"block{group + 1}", nn.Sequential(*members))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(shape.dropout) if shape.dropout else nn.Identity()
        self.fc = nn.Linear(channels, num_classes)

    @property
    def hint_points(self) -> Mapping[str, str]:
        """Listed points, shallow to deep: each group's output."""
        return {f"block{i}": f"block{i}" for i in range(1, self.num_groups + 1)}

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, num_classes]."""
        x = F.relu(self.stem(x))
        for path in self.hint_points:
            x = self.get_submodule(path)(x)
        logits: Tensor = self.fc(self.dropout(self.pool(x)))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (option A)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        self.stride, self.extra = stride, width - channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels, H, W] to [N, width, H/stride, W/stride]."""
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1 or self.extra:
            before = self.extra // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.extra - before))
        return F.relu(out + x)


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1; a projection where the shortcut changes shape."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * EXPANSION
        self.conv1, self.bn1 = _conv(channels, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, out, 1), nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            self.shortcut = nn.Sequential(_conv(channels, out, 1, stride), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, channels, H, W] to [N, 4 * width, H/stride, W/stride]."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


def _conv(channels: int, out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
    if not conv.weight.is_meta:
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _check(shape: ResNetShape, in_shape: Sequence[int]) -> None:
    image_size("resnet", in_shape)
    falling = any(b < a for a, b in zip(shape.widths, shape.widths[1:], strict=False))
    if falling and not shape.bottleneck:
        raise ModelError(
            f"widths {list(shape.widths)} fall, and a basic residual block's shortcut can only "
            "add channels; give widths that rise, or bottleneck: true"
        )


def _count_block(channels: int, width: int, bottleneck: bool, *, first: bool) -> int:
    if not bottleneck:
        return 9 * channels * width + 9 * width * width + 4 * width
    out = width * EXPANSION
    inner = channels * width + 9 * width * width + width * out + 2 * (2 * width + out)
    # A group's first block never has its output's number of channels: the stem has `width`.
    return inner + (channels * out + 2 * out if first else 0)


SHAPE = ResNetShape
